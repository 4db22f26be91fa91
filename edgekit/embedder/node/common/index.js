// {{title}}: `predict(...)` runs the model that is in this package.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import * as ort from "onnxruntime-node";

import { Model } from "./lib/model.js";

export { Model, ModelError } from "./lib/model.js";

/** Read a JSON file of this package. */
async function json(name) {
  return JSON.parse(await readFile(new URL(name, import.meta.url), "utf8"));
}

/** Open the model. `options` are onnxruntime's session options, such as `{intraOpNumThreads: 1}`. */
export async function load(options = {}) {
  const spec = await json("./model.json");
  const file = fileURLToPath(new URL(spec.file, import.meta.url));
  return Model.open(ort, spec, file, { executionProviders: ["cpu"], ...options });
}

/** @type {Promise<Model> | undefined} */
let opened;

/** Run the model on one input and say what it answers, with the `top` likeliest labels. */
export async function predict(given, top = 3) {
  opened ??= load();
  return (await opened).predict(given, top);
}
