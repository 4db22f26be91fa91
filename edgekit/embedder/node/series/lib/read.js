import { readFile } from "node:fs/promises";

import { parse } from "./preprocess.js";

export const HELP = "a .csv file: a row a step, numbers between commas, no header";

/** Read a file of numbers. */
export async function read(word) {
  return parse(await readFile(word, "utf8"));
}
