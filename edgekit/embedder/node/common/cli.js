#!/usr/bin/env node
// The command: answers for the inputs that are given, a line each.

import { load } from "./index.js";
import { HELP, read } from "./lib/read.js";

const words = process.argv.slice(2);
if (!words.length || words.includes("--help")) {
  console.log(`usage: {{name}} INPUT...\n\nAn INPUT is ${HELP}.`);
  process.exit(words.length ? 0 : 2);
}
try {
  const model = await load();
  for (const word of words) console.log(`${word}: ${line(await model.predict(await read(word)))}`);
} catch (error) {
  console.error(`Error: ${error.message}`);
  process.exitCode = 1;
}

function line({ top, outputs }) {
  if (top.length)
    return top.map(({ name, score }) => `${name} ${(100 * score).toFixed(1)}%`).join(", ");
  return Object.entries(outputs)
    .map(([name, { shape, data }]) => `${name} [${shape}] = ${Array.from(data, String)}`)
    .join("; ");
}
