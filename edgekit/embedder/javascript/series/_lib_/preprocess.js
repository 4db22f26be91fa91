// From a table with a row a step to what the model takes: one series.

/** @typedef {readonly (readonly number[])[]} Input */

/**
 * Turn a table of numbers into a series `[1, time, channels]`.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode(given, { preprocessing: rule }) {
  if (!given.length || given.some((row) => row.length !== rule.channels)) {
    throw new RangeError(`give rows of ${rule.channels} numbers, one row a step`);
  }
  const data = Float32Array.from(given.flat());
  if (data.some((value) => !Number.isFinite(value))) {
    throw new RangeError("the table has something that is no number");
  }
  return { [rule.input]: { dtype: "float32", shape: [1, given.length, rule.channels], data } };
}

/**
 * Read a table: a row a line, numbers between commas or white space.
 * @param {string} text
 * @returns {number[][]}
 */
export function parse(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  return lines.map((line) => line.trim().split(/[\s,;]+/).map(Number));
}
