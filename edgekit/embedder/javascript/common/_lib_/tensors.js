// Tensors as plain objects, `{dtype, shape, data}`, and as onnxruntime's own.
// dtypes are numpy's names; data is flat, row by row.

/** @typedef {{dtype: string, shape: readonly number[], data: any}} Tensor */

/** @type {Record<string, any>} */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
};

/**
 * Make onnxruntime's tensor of a plain one, whose data may be an array of numbers.
 * @param {any} ort the module of onnxruntime
 * @param {Tensor} tensor
 */
export function toTensor(ort, { dtype, shape, data }) {
  if (dtype === "str") return new ort.Tensor("string", Array.from(data), shape);
  if (dtype === "int64") return new ort.Tensor(dtype, BigInt64Array.from(data, BigInt), shape);
  if (dtype === "bool") return new ort.Tensor(dtype, Uint8Array.from(data, Number), shape);
  return new ort.Tensor(dtype, ARRAYS[dtype].from(data), shape);
}

/**
 * Make a plain tensor of onnxruntime's.
 * @param {any} tensor
 * @returns {Tensor}
 */
export function fromTensor({ type, dims, data }) {
  return { dtype: type === "string" ? "str" : type, shape: dims, data };
}
