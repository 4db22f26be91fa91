// Golden vectors: whether the answers here are those of the model that was trained.

/** @typedef {import("./tensors.js").Tensor} Tensor */
/**
 * @typedef {object} Finding
 * @property {number} number which case
 * @property {string} output
 * @property {number} error the largest absolute error
 * @property {number} sqnr the signal-to-noise ratio in dB, infinite where nothing differs
 * @property {string | null} failure what is wrong, or null
 */

/**
 * Run every case of golden.json and compare every output.
 * @param {{run: (feeds: any) => Promise<Record<string, Tensor>>}} model
 * @param {any} golden
 * @returns {Promise<Finding[]>}
 */
export async function check(model, golden) {
  const findings = [];
  for (const [number, { inputs, outputs }] of golden.cases.entries()) {
    const got = await model.run(Object.fromEntries(inputs.map((each) => [each.name, each])));
    for (const want of outputs) {
      findings.push({ number, output: want.name, ...compare(want, got[want.name], golden) });
    }
  }
  return findings;
}

/**
 * Compare shape and dtype, then elements, then the noise of the whole.
 * @param {any} want a tensor of golden.json, with its `atol`
 * @param {Tensor} got
 * @param {{rtol: number, min_sqnr_db: number | null}} rule
 */
export function compare(want, got, rule) {
  const shapes = [want.shape, got.shape].map((shape) => shape.join(" x "));
  if (shapes[0] !== shapes[1] || want.dtype !== got.dtype) {
    const found = `${got.dtype} ${shapes[1]} where ${want.dtype} ${shapes[0]} is expected`;
    return { error: NaN, sqnr: NaN, failure: found };
  }
  if (want.dtype === "str") {
    const same = want.data.every((text, i) => text === got.data[i]);
    return { error: 0, sqnr: Infinity, failure: same ? null : "another text" };
  }
  const { error, over, signal, noise, finite } = measure(want, got, rule.rtol);
  const sqnr = noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
  let failure = null;
  if (!finite) failure = "NaN or infinity";
  else if (want.atol !== null && over > want.atol) failure = `atol ${over} would pass`;
  else if (rule.min_sqnr_db !== null && signal > 0 && sqnr < rule.min_sqnr_db)
    failure = `SQNR ${sqnr.toFixed(1)} dB where ${rule.min_sqnr_db} is expected`;
  return { error, sqnr, failure };
}

function measure(want, got, rtol) {
  const found = { error: 0, over: 0, signal: 0, noise: 0, finite: true };
  for (let i = 0; i < want.data.length; i++) {
    const [expected, actual] = [Number(want.data[i]), Number(got.data[i])];
    const error = Math.abs(actual - expected);
    found.finite &&= Number.isFinite(actual);
    found.error = Math.max(found.error, error);
    found.over = Math.max(found.over, error - rtol * Math.abs(expected));
    found.signal += expected * expected;
    found.noise += error * error;
  }
  return found;
}
