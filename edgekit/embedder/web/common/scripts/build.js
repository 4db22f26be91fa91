// Copy onnxruntime-web's files beside the page. A browser loads one of the two sets: the plain one,
// or the one with WebGPU where it has that.

import { copyFile, mkdir } from "node:fs/promises";

const FILES = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

const from = new URL("../node_modules/onnxruntime-web/dist/", import.meta.url);
const to = new URL("../site/ort/", import.meta.url);
await mkdir(to, { recursive: true });
for (const name of FILES) await copyFile(new URL(name, from), new URL(name, to));
