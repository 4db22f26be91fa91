// Open the model in onnxruntime-web: on the GPU where there is one, else in WebAssembly.

import { Model } from "./model.js";

const FILES = new URL("ort/", import.meta.url).href;
const MOST_THREADS = 4;

/** Whether this browser has WebGPU with an adapter behind it. */
async function hasGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}

/**
 * Give what the model can run on here, the best first. Integers stay on WebAssembly: the GPU would
 * hand most of them back, with a copy each time. Texts and labels are on WebAssembly only.
 */
export async function providers(spec) {
  if ([...spec.inputs, ...spec.outputs].some(({ dtype }) => dtype === "str")) return ["wasm"];
  if (!(await hasGpu())) return ["wasm"];
  return spec.precision === "int8" ? ["wasm", "webgpu"] : ["webgpu", "wasm"];
}

/**
 * Open the model on a provider.
 * @returns {Promise<{model: Model, where: string}>} the model, and what runs it, in words
 */
export async function open(spec, bytes, provider) {
  const gpu = provider === "webgpu";
  const ort = await import(gpu ? "./ort/ort.webgpu.min.mjs" : "./ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = FILES;
  // Threads need the page to be isolated (COOP and COEP), which serve.js and sw.js see to.
  const cores = Math.min(MOST_THREADS, navigator.hardwareConcurrency ?? 1);
  const threads = globalThis.crossOriginIsolated ? cores : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const inWasm = `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
  const options = {
    executionProviders: [provider],
    freeDimensionOverrides: batchOfOne(spec),
    logSeverityLevel: 3,
  };
  if (!gpu) return { model: await Model.open(ort, spec, bytes, options), where: inWasm };
  try {
    // Refused, without a word in the console, where the GPU does not take every node.
    const extra = { session: { disable_cpu_ep_fallback: "1" } };
    const strict = { ...options, extra, logSeverityLevel: 4 };
    return { model: await Model.open(ort, spec, bytes, strict), where: "WebGPU, all of it" };
  } catch {
    const model = await Model.open(ort, spec, bytes, options);
    return { model, where: `WebGPU in part, the rest on ${inWasm}` };
  }
}

/** Fix the batch, which is one sample here: a GPU wants to know the shapes. */
function batchOfOne(spec) {
  const first = spec.inputs[0]?.shape[0];
  return typeof first === "string" ? { [first]: 1 } : {};
}
