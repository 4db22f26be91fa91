// A picture's pixels as they are: the model's file has its preprocessing inside.

/**
 * A picture, such as a canvas's ImageData, of any size: 1 to 4 bytes a pixel (grey, grey and alpha,
 * RGB, RGBA), row by row.
 * @typedef {{width: number, height: number, data: Uint8Array | Uint8ClampedArray}} Input
 */

/**
 * Give a picture its shape, `[1, height, width, channels]`.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode({ width, height, data }, { inputs: [{ name }] }) {
  const channels = data.length / (width * height);
  if (![1, 2, 3, 4].includes(channels)) {
    throw new RangeError(`the picture has ${data.length} values: give 1 to 4 a pixel`);
  }
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new RangeError("the picture has other values than bytes: give 0..255 in a Uint8Array");
  }
  return { [name]: { dtype: "uint8", shape: [1, height, width, channels], data } };
}
