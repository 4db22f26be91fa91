// A text as it is: the model's file has its preprocessing inside.

/** @typedef {string} Input */

/**
 * Put a text into a tensor of strings `[1]`.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode(given, { inputs: [{ name }] }) {
  if (!given.trim()) throw new RangeError("the text is empty: give at least one character");
  return { [name]: { dtype: "str", shape: [1], data: [given] } };
}
