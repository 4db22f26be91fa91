// The golden vectors: this machine's answers are those of the model that was trained.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { load } from "./index.js";
import { check } from "./lib/golden.js";
import { encode } from "./lib/preprocess.js";

const golden = JSON.parse(await readFile(new URL("golden.json", import.meta.url), "utf8"));
const model = await load();

test("the answers are the expected ones", async (t) => {
  const findings = await check(model, golden);
  assert.ok(findings.length > 0);
  t.diagnostic(`largest absolute error ${Math.max(...findings.map(({ error }) => error))}`);
  for (const { number, output, failure } of findings) {
    assert.equal(failure, null, `case ${number}, ${output}`);
  }
});

for (const { text, ids } of golden.texts ?? []) {
  test(`a text becomes the expected ids: ${JSON.stringify(text)}`, () => {
    const [tensor] = Object.values(encode(text, model.spec));
    assert.deepEqual(Array.from(tensor.data), ids);
  });
}
