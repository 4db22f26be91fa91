// From a picture to what the model takes: resized, in the model's range.

/**
 * A picture, such as a canvas's ImageData: 1, 3 or 4 channels a pixel, row by row. Bytes are
 * 0..255, floats 0..1; the fourth channel, how opaque a pixel is, is not looked at.
 * @typedef {{width: number, height: number, data: Uint8Array | Uint8ClampedArray | Float32Array}} Input
 */

/**
 * Turn a picture into `[1, height, width, channels]` float32.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode(given, { preprocessing: rule }) {
  const { width, height, channels } = rule;
  const planes = colours(given, channels).map((plane) =>
    resized(plane, given.width, given.height, width, height),
  );
  const [low, high] = rule.range;
  const data = new Float32Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    data[i] = low + planes[i % channels][Math.floor(i / channels)] * (high - low);
  }
  return { [rule.input]: { dtype: "float32", shape: [1, height, width, channels], data } };
}

/** Take the picture apart: a plane a channel, 0..1. Grey is ITU-R 601's share of each colour. */
function colours({ width, height, data }, channels) {
  const given = data.length / (width * height);
  if (![1, 3, 4].includes(given)) {
    throw new RangeError(`the picture has ${data.length} values: give 1, 3 or 4 a pixel`);
  }
  const most = data instanceof Float32Array ? 1 : 255;
  const plane = (channel) =>
    Float64Array.from({ length: width * height }, (_, i) => data[i * given + channel] / most);
  if (given === 1) return Array(channels).fill(plane(0));
  const [red, green, blue] = [plane(0), plane(1), plane(2)];
  if (channels === 3) return [red, green, blue];
  return [red.map((value, i) => 0.299 * value + 0.587 * green[i] + 0.114 * blue[i])];
}

/** Resize a plane, columns first; the order makes no difference. */
function resized(plane, width, height, toWidth, toHeight) {
  const [across, down] = [shares(width, toWidth), shares(height, toHeight)];
  const narrow = new Float64Array(toWidth * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < toWidth; x++)
      for (const [from, share] of across[x])
        narrow[y * toWidth + x] += share * plane[y * width + from];
  const small = new Float64Array(toWidth * toHeight);
  for (let y = 0; y < toHeight; y++)
    for (let x = 0; x < toWidth; x++)
      for (const [from, share] of down[y])
        small[y * toWidth + x] += share * narrow[from * toWidth + x];
  return small;
}

/**
 * Give, for each target pixel, the source pixels in it and their shares. Bilinear; where it makes
 * smaller, the average over all that falls together, as Pillow does.
 * @returns {[number, number][][]}
 */
function shares(source, target) {
  const scale = source / target;
  const reach = Math.max(scale, 1);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(source - 1, Math.ceil(centre + reach));
    const found = [];
    for (let from = first; from <= last; from++) {
      const share = 1 - Math.abs(from + 0.5 - centre) / reach;
      if (share > 0) found.push([from, share]);
    }
    const sum = found.reduce((total, [, share]) => total + share, 0);
    return found.map(([from, share]) => [from, share / sum]);
  });
}
