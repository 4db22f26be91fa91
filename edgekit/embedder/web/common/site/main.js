// The page: load the model, answer what is entered, time it, prove it.

import { check } from "./golden.js";
import { measure } from "./latency.js";
import { mount } from "./panel.js";
import { encode } from "./preprocess.js";
import { open, providers } from "./runtime.js";
import { $, showAnswer, showLatency, showProof } from "./view.js";

const [spec, golden, bytes] = await Promise.all([
  fetched("model.json").then((answer) => answer.json()),
  fetched("golden.json").then((answer) => answer.json()),
  fetched("{{model}}").then((answer) => answer.arrayBuffer()),
]);
const state = { model: null, where: "", given: null, waiting: false, busy: false };

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} is missing (${answer.status})`);
  return answer;
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

/** Open the model on a provider, and answer the input that is there on it. */
async function use(provider) {
  await exclusively(async () => {
    say("Loading the model …");
    await state.model?.session.release();
    Object.assign(state, await open(spec, new Uint8Array(bytes), provider));
    $("provider").value = provider;
    say("");
  });
  await answer();
  await time();
}

/** Take an input; while a run is under way, only the last one waits. */
function take(given) {
  state.given = given;
  state.waiting = true;
  if (!state.busy && state.model) answer();
}

async function answer() {
  await exclusively(async () => {
    while (state.given !== null && (state.waiting || !$("scores").firstChild)) {
      state.waiting = false;
      try {
        showAnswer(await state.model.predict(state.given, Infinity));
        say("");
      } catch (error) {
        say(error.message, true);
      }
      if (!state.waiting) break;
    }
  });
}

async function time() {
  if (state.given === null) return;
  await exclusively(async () => {
    const feeds = encode(state.given, spec);
    showLatency(await measure(() => state.model.run(feeds)), state.where);
  });
}

/** A session runs one thing at a time: whoever else comes, waits. */
let turn = Promise.resolve();
function exclusively(work) {
  turn = turn.then(async () => {
    state.busy = true;
    for (const id of ["measure", "check", "provider"]) $(id).disabled = true;
    try {
      await work();
    } catch (error) {
      say(error.message, true);
    }
    for (const id of ["measure", "check", "provider"]) $(id).disabled = false;
    state.busy = false;
  });
  return turn;
}

$("measure").addEventListener("click", time);
$("provider").addEventListener("change", ({ target }) => use(target.value));
$("check").addEventListener("click", () =>
  exclusively(async () => showProof(await check(state.model, golden), state.where)),
);
$("about").textContent =
  `${spec.name}, ${spec.precision}, ${(bytes.byteLength / 1024).toFixed(0)} KiB, on ` +
  `${spec.runtime.package} ${spec.runtime.version}.`;

mount($("input"), { spec, golden, take });
const able = await providers(spec);
for (const option of $("provider").options) option.disabled = !able.includes(option.value);
const asked = new URLSearchParams(location.search).get("provider");
await use(able.includes(asked) ? asked : able[0]);
document.documentElement.dataset.ready = "true";
await keep();

/** Keep what was loaded, so that the page works offline. */
async function keep() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register("sw.js");
  const { active } = await navigator.serviceWorker.ready;
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  active.postMessage([location.href.split("?")[0], ...loaded]);
}
