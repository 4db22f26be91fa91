// The page: load the model, answer what is entered, time it, prove it.

import { check } from "./golden.js";
import { measure } from "./latency.js";
import { mount } from "./panel.js";
import { encode } from "./preprocess.js";
import { open, providers } from "./runtime.js";
import { $, showAnswer, showLatency, showProof } from "./view.js";

const page = document.documentElement.dataset;
const [spec, golden, bytes] = await Promise.all([
  fetched("model.json").then((answer) => answer.json()),
  fetched("golden.json").then((answer) => answer.json()),
  fetched("{{model}}").then((answer) => answer.arrayBuffer()),
]).catch((error) => {
  say(`The page cannot be loaded: ${error.message}.`, true);
  throw error;
});
/** What runs the model, the input that is there, and whether it waits for its answer. */
const state = { model: null, where: "", loadMs: 0, firstMs: 0, given: null, waits: false };

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} is missing (${answer.status})`);
  return answer;
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

/** A session does one thing at a time: who comes later, waits. */
let turn = Promise.resolve();
function inTurn(work) {
  turn = turn.then(work).catch((error) => say(error.message, true));
  return turn;
}

async function load(provider) {
  say("Loading the model …");
  await state.model?.session.release();
  const start = performance.now();
  Object.assign(state, await open(spec, new Uint8Array(bytes), provider));
  state.loadMs = performance.now() - start;
  const [{ inputs }] = golden.cases;
  const feeds = Object.fromEntries(inputs.map((each) => [each.name, each]));
  const run = performance.now();
  await state.model.run(feeds);
  state.firstMs = performance.now() - run;
  $("provider").value = provider;
  $("verdict").textContent = "";
  say("");
}

/** Take an input; of several that wait, only the last one is answered. */
function take(given) {
  state.given = given;
  if (state.waits) return;
  state.waits = true;
  inTurn(answer);
}

async function answer() {
  state.waits = false;
  showAnswer(await state.model.predict(state.given, Infinity));
  say("");
}

async function time() {
  $("conditions").textContent = "Measuring …";
  const feeds = encode(state.given, spec);
  showLatency({ ...state, ...(await measure(() => state.model.run(feeds))) });
}

async function prove() {
  showProof(await check(state.model, golden), state.where);
}

/** Keep what was loaded, so that the page works offline. */
async function keep() {
  if (!navigator.serviceWorker) return;
  navigator.serviceWorker.addEventListener("message", () => (page.offline = "true"));
  await navigator.serviceWorker.register("sw.js");
  const { active } = await navigator.serviceWorker.ready;
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  active.postMessage([location.href.split("?")[0], ...loaded]);
}

$("about").textContent =
  `${spec.name}, ${spec.precision}, ${(bytes.byteLength / 1024).toFixed(0)} KiB, on ` +
  `${spec.runtime.package} ${spec.runtime.version}.`;
$("measure").addEventListener("click", () => inTurn(time));
$("check").addEventListener("click", () => inTurn(prove));
$("provider").addEventListener("change", ({ target }) => {
  inTurn(() => load(target.value));
  inTurn(answer);
  inTurn(time);
});

const able = await providers(spec);
for (const option of $("provider").options) option.disabled = !able.includes(option.value);
const asked = new URLSearchParams(location.search).get("provider");
inTurn(() => load(able.includes(asked) ? asked : able[0]));
mount($("input"), { spec, golden, take });
await inTurn(time);
page.ready = "true";
await keep();
