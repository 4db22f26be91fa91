// From a text to what the model takes: a row of character ids.

/** @typedef {string} Input */

/**
 * Turn a text into ids `[1, length]`: `offset + i` for the i-th character of the alphabet.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode(given, { preprocessing: rule }) {
  const text = rule.lowercase ? given.trim().toLowerCase() : given.trim();
  if (!text) throw new RangeError("the text is empty: give at least one character");
  const ids = new Map(Array.from(rule.alphabet, (character, i) => [character, rule.offset + i]));
  // Array.from goes by characters, where an index would go by units of 16 bits.
  const characters = Array.from(text).slice(0, rule.max_length);
  const data = Int32Array.from(characters, (character) => ids.get(character) ?? rule.unknown);
  return { [rule.input]: { dtype: "int32", shape: [1, data.length], data } };
}
