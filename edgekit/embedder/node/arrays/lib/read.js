import { readFile } from "node:fs/promises";

export const HELP = 'a .json file: {"input": {"shape": [...], "data": [...]}}';

/** Read tensors. */
export async function read(word) {
  return JSON.parse(await readFile(word, "utf8"));
}
