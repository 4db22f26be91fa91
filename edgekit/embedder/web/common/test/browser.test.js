// The page in Chromium: golden vectors on WebAssembly and WebGPU, an input, and without a network.
// CHROMIUM names the browser where it is not found. Without one, each test says so and is skipped.

import assert from "node:assert/strict";
import { accessSync } from "node:fs";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { serve } from "../scripts/serve.js";

const KNOWN = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  chromium.executablePath(),
];
const executablePath = KNOWN.find((path) => {
  try {
    return path && (accessSync(path), true);
  } catch {
    return false;
  }
});
const skip = executablePath ? false : "not run: there is no Chromium; name one in CHROMIUM";
// WebGPU without a screen; where there is no GPU, SwiftShader computes in its place.
const args = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"];

let server, browser, address;

before(async () => {
  if (skip) return;
  server = await serve(0);
  address = `http://localhost:${server.address().port}/`;
  browser = await chromium.launch({ executablePath, args });
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** Open the page and wait until the model is there. */
async function opened(t, query = "") {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    const ours = origin === new URL(address).origin || ["blob:", "data:"].includes(protocol);
    if (!ours) problems.push(`the page asked ${request.url()}`);
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  await page.goto(address + query);
  await page.waitForSelector("html[data-ready=true]", { timeout: 60_000 });
  return { context, page };
}

for (const provider of ["wasm", "webgpu"]) {
  test(`the golden vectors pass on ${provider}`, { skip }, async (t) => {
    const { page } = await opened(t, `?provider=${provider}`);
    if ((await page.inputValue("#provider")) !== provider) {
      t.skip(`not run: the page does not offer ${provider} here`);
      return;
    }
    await page.click("#check");
    await page.waitForFunction(() => document.querySelector("#verdict").textContent);
    const verdict = await page.textContent("#verdict");
    t.diagnostic(`${verdict} p50 ${await page.textContent("#latency dd")}`);
    assert.match(verdict, /^Passed/);
  });
}

test("every control has a name that is read out", { skip }, async (t) => {
  const { page } = await opened(t, "?provider=wasm");
  const nameless = await page.$$eval("button, input, select, textarea, [tabindex]", (controls) =>
    controls
      .filter((each) => {
        const label = each.labels?.[0]?.textContent ?? each.getAttribute("aria-label");
        return !(label ?? each.textContent).trim();
      })
      .map((each) => each.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

test("the page answers, without a network once it is loaded", { skip }, async (t) => {
  const { context, page } = await opened(t, "?provider=wasm");
  await page.waitForSelector("html[data-offline=true]");
  const before = await page.textContent("#label");
  await context.setOffline(true);
  await page.reload();
  await page.waitForSelector("html[data-ready=true]", { timeout: 60_000 });
  assert.equal(await page.textContent("#label"), before);
  assert.ok(await page.evaluate(() => globalThis.crossOriginIsolated));
});
