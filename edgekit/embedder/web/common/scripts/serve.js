// Serve the folder site/ on this machine, with the two headers that let WebAssembly have threads.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const SITE = fileURLToPath(new URL("../site/", import.meta.url));
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cache-Control": "no-cache",
};

async function answer(request, response) {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  const file = normalize(join(SITE, path.endsWith("/") ? `${path}index.html` : path));
  const known = file.startsWith(SITE + (SITE.endsWith(sep) ? "" : sep))
    ? await stat(file).catch(() => null)
    : null;
  if (!known?.isFile()) {
    response.writeHead(404).end("Not found");
    return;
  }
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": known.size });
  createReadStream(file).pipe(response);
}

/** Serve the page; port 0 is any that is free. Gives the server once it listens. */
export function serve(port) {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(400).end("Bad request"));
  });
  return new Promise((done, failed) => {
    server.once("error", failed).listen(port, "localhost", () => done(server));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve(Number(process.env.PORT ?? 8000));
  console.log(`http://localhost:${server.address().port}/`);
}
