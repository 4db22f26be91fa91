import { readFile } from "node:fs/promises";

import { PNG } from "pngjs";

export const HELP = "a .png picture";

/** Read a picture. */
export async function read(word) {
  return PNG.sync.read(await readFile(word));
}
