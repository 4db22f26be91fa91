// The golden vectors in WebAssembly, in Node: the same file of code that a browser runs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import * as ort from "onnxruntime-web/wasm";

import { check } from "../site/golden.js";
import { Model } from "../site/model.js";
import { encode } from "../site/preprocess.js";

const read = (name) => readFile(new URL(`../site/${name}`, import.meta.url));
const spec = JSON.parse(await read("model.json"));
const golden = JSON.parse(await read("golden.json"));

test("the answers in WebAssembly are the expected ones", async (t) => {
  ort.env.wasm.numThreads = 1;
  const model = await Model.open(ort, spec, new Uint8Array(await read(spec.file)), {});
  const findings = await check(model, golden);
  assert.ok(findings.length > 0);
  t.diagnostic(`largest absolute error ${Math.max(...findings.map(({ error }) => error))}`);
  for (const { number, output, failure } of findings) {
    assert.equal(failure, null, `case ${number}, ${output}`);
  }
});

test("a text becomes the expected ids", { skip: !golden.texts && "no characters" }, () => {
  for (const { text, ids } of golden.texts) {
    const [tensor] = Object.values(encode(text, spec));
    assert.deepEqual(Array.from(tensor.data), ids, JSON.stringify(text));
  }
});
