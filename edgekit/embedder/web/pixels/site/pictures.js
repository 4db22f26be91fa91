// The reference's pictures: bytes of RGB. What the model sees of one is made in its own graph.

import { make } from "./view.js";

/** Whether the model is used to grey pictures, as a drawing is one. */
export function isGrey(spec, { cases }) {
  const [{ inputs: [{ data }] }] = cases;
  return data.every((value, i) => value === data[i - (i % 3)]);
}

/** There is nothing to show beside the picture itself. */
export const viewer = () => ({ nodes: [], show() {} });

/** Give the reference's pictures, each on a canvas and as an input. */
export function pictures(spec, { cases }) {
  return cases.map(({ inputs: [{ shape: [, height, width], data }] }) => {
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      image.data.set([...data.slice(3 * i, 3 * i + 3), 255], 4 * i);
    }
    const canvas = make("canvas", { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return { canvas, given: { width, height, data: Uint8Array.from(data) } };
  });
}
