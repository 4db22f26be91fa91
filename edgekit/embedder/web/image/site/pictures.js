// What the model sees of a picture, and the reference's pictures.

import { encode } from "./preprocess.js";
import { make } from "./view.js";

/** Whether the model takes grey pictures, as a drawing is one. */
export const isGrey = ({ preprocessing: { channels } }) => channels === 1;

/** Show what becomes of an input: `nodes` for the page, `show(given)`. */
export function viewer(spec) {
  const rule = spec.preprocessing;
  const seen = make("canvas", { width: rule.width, height: rule.height, "aria-hidden": "true" });
  return {
    nodes: [make("p", { class: "seen small" }, seen, "What the model sees")],
    show: (given) => paint(seen, encode(given, spec)[rule.input].data, rule),
  };
}

/** Give the reference's pictures, each on a canvas and as an input. */
export function pictures({ preprocessing: rule }, { cases }) {
  const { width, height, range: [low, high] } = rule;
  return cases.map(({ inputs }) => {
    const { data } = inputs.find(({ name }) => name === rule.input);
    const canvas = make("canvas", { width, height });
    paint(canvas, data, rule);
    const scaled = Float32Array.from(data, (value) => (value - low) / (high - low));
    return { canvas, given: { width, height, data: scaled } };
  });
}

/** Paint what the model takes on a canvas of its size. */
function paint(canvas, data, { width, height, channels, range: [low, high] }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = data[i * channels + (channels === 1 ? 0 : channel)];
      image.data[4 * i + channel] = (255 * (value - low)) / (high - low);
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
