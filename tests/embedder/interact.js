// Open a written page in Chromium, do what is told, and print what the page answers, as JSON.
//
//     node interact.js PROJECT STEPS PICTURE
//
// STEPS are a JSON list of {type: text}, {draw: [[from, to], ...]} with points in 0..1, {press: keys},
// {paste: text}, {click: selector} or {use: provider}; each gives a label. PICTURE is a .png to write.

import { pathToFileURL } from "node:url";

const [project, steps, picture] = process.argv.slice(2);
const { chromium } = await import(
  pathToFileURL(`${project}/node_modules/playwright-core/index.mjs`).href
);
const { serve } = await import(pathToFileURL(`${project}/scripts/serve.js`).href);

const server = await serve(0);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"],
});
const page = await browser.newPage({ viewport: { width: 1100, height: 1300 } });
await page.goto(`http://localhost:${server.address().port}/?provider=wasm`);
await page.waitForSelector("html[data-ready=true]", { timeout: 60_000 });

const DO = {
  type: (text) => page.fill("#text", text),
  paste: (text) => page.fill("textarea", text),
  click: (selector) => page.click(selector),
  use: async (provider) => {
    await page.selectOption("#provider", provider);
    await page.waitForFunction(
      (word) => document.querySelector("#conditions").textContent.includes(word),
      provider === "webgpu" ? "WebGPU" : "WebAssembly",
      { timeout: 60_000 },
    );
  },
  press: async (keys) => {
    await page.focus(".board canvas");
    for (const key of keys) await page.keyboard.press(key);
  },
  draw: async (strokes) => {
    await page.click("text=Clear");
    const box = await page.locator(".board canvas").boundingBox();
    const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
    for (const [from, to] of strokes) {
      await page.mouse.move(...at(from));
      await page.mouse.down();
      await page.mouse.move(...at(to), { steps: 3 });
      await page.mouse.up();
    }
  },
};

const answers = [];
for (const step of JSON.parse(steps)) {
  const [[name, value]] = Object.entries(step);
  await DO[name](value);
  // Whatever is in the queue is answered before a proof.
  await page.evaluate(() => (document.querySelector("#verdict").textContent = ""));
  await page.click("#check");
  await page.waitForFunction(() => document.querySelector("#verdict").textContent);
  answers.push({
    label: await page.textContent("#label"),
    scores: await page.$$eval("#scores li", (rows) =>
      rows.map((row) => [row.firstChild.textContent, row.lastChild.textContent]),
    ),
    problem: await page.textContent("#status"),
    verdict: await page.textContent("#verdict"),
    conditions: await page.textContent("#conditions"),
  });
}
if (picture) await page.screenshot({ path: picture, fullPage: true });
console.log(JSON.stringify(answers));
await browser.close();
server.close();
