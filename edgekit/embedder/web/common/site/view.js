// What the page shows of an answer, a latency and a proof.

const MOST_BARS = 10;
const MOST_CELLS = 400;

/** Give the element with an id. */
export const $ = (id) => document.getElementById(id);

/** Make an element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Show the likeliest labels as bars, or every output as a table of its values. */
export function showAnswer({ top, outputs }) {
  const names = Object.keys(outputs);
  $("label").textContent = top[0]?.name ?? names.join(", ");
  $("label").classList.toggle("plain", !top.length);
  const least = Math.min(0, ...top.map(({ score }) => score));
  const most = Math.max(1, ...top.map(({ score }) => score));
  $("scores").replaceChildren(
    ...top.slice(0, MOST_BARS).map(({ name, score }) => bar(name, score, least, most)),
  );
  if (top.length) return;
  $("outputs").replaceChildren(...names.flatMap((name) => heat(name, outputs[name])));
}

function bar(name, score, least, most) {
  const filled = make("span", { class: "bar" });
  filled.style.width = `${(100 * (score - least)) / (most - least)}%`;
  const inUnit = least === 0 && most === 1;
  const share = inUnit ? `${(100 * score).toFixed(1)}%` : score.toPrecision(4);
  return make(
    "li",
    {},
    make("span", {}, name),
    make("span", { class: "track", "aria-hidden": "true" }, filled),
    make("span", { class: "share" }, share),
  );
}

/** Make a table of a tensor: its last axis across, the others down; the most of a row is marked. */
function heat(name, { dtype, shape, data }) {
  const width = shape.at(-1) ?? 1;
  const values = Array.from(data).slice(0, MOST_CELLS);
  const scale = Math.max(...values.map((value) => Math.abs(Number(value)) || 0)) || 1;
  const table = make("table", { class: "heat" });
  for (let start = 0; start < values.length; start += width) {
    const row = values.slice(start, start + width);
    const most = row.indexOf(row.reduce((one, other) => (other > one ? other : one)));
    table.append(make("tr", {}, ...row.map((value, i) => cell(value, scale, i === most))));
  }
  const left = data.length - values.length;
  const note = left > 0 ? `, the first ${values.length} of ${data.length} values` : "";
  const title = make("p", { class: "small" }, `${name}: ${dtype} ${shape.join(" × ")}${note}`);
  const region = { class: "scroll", tabindex: "0", role: "region", "aria-label": name };
  return [title, make("div", region, table)];
}

function cell(value, scale, most) {
  const size = Math.abs(Number(value)) / scale || 0;
  const text = typeof value === "number" ? String(Number(value.toPrecision(2))) : String(value);
  const made = make("td", most ? { class: "most" } : {}, size < 5e-4 ? "0" : text);
  made.style.background = `color-mix(in srgb, var(--accent) ${(60 * size).toFixed(0)}%, transparent)`;
  return made;
}

/** Show a latency with its conditions. */
export function showLatency({ where, loadMs, firstMs, p50, p90, samples, group, warmUp }) {
  const figure = (name, ms) =>
    make(
      "div",
      {},
      make("dt", {}, name),
      make("dd", {}, `${Number(ms.toPrecision(3))} `, make("small", {}, "ms")),
    );
  $("latency").replaceChildren(
    figure("p50", p50),
    figure("p90", p90),
    figure("first run", firstMs),
    figure("load", loadMs),
  );
  const runs = group > 1 ? `${samples} samples of ${group} runs each` : `${samples} runs`;
  $("conditions").textContent =
    `${where}; ${runs} after ${warmUp} to warm up, one input at a time, copies in and out ` +
    "included, preprocessing not. Load is the runtime and the model.";
}

/** Show what came of the golden vectors. */
export function showProof(findings, where) {
  const failed = findings.filter(({ failure }) => failure !== null);
  const error = Math.max(...findings.map((each) => each.error));
  const { number, output, failure } = failed[0] ?? {};
  $("verdict").className = failed.length ? "bad" : "good";
  $("verdict").textContent = failed.length
    ? `Failed: ${failed.length} of ${findings.length}; case ${number}, ${output}: ${failure} (${where}).`
    : `Passed: ${findings.length} of ${findings.length}, largest error ${error.toExponential(1)} (${where}).`;
}
