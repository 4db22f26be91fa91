// What the model takes, as it is: tensors by name.

/** @typedef {Readonly<Record<string, {shape: readonly number[], data: ArrayLike<any>}>>} Input */

/**
 * Check the names and the sizes, and give each tensor its dtype.
 * @param {Input} given
 * @param {any} spec the content of model.json
 */
export function encode(given, spec) {
  const names = spec.inputs.map(({ name }) => name);
  if (Object.keys(given).sort().join() !== [...names].sort().join()) {
    throw new RangeError(`the inputs are ${Object.keys(given)}: give ${names}`);
  }
  const feeds = spec.inputs.map(({ name, dtype }) => {
    const { shape, data } = given[name];
    if (data.length !== shape.reduce((size, length) => size * length, 1)) {
      throw new RangeError(`${name} has ${data.length} values for the shape ${shape.join(" x ")}`);
    }
    return [name, { dtype, shape, data }];
  });
  return Object.fromEntries(feeds);
}
