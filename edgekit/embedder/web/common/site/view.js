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
  if (top.length) {
    $("label").textContent = top[0].name;
    const least = Math.min(0, ...top.map(({ score }) => score));
    const most = Math.max(1, ...top.map(({ score }) => score));
    $("scores").replaceChildren(
      ...top.slice(0, MOST_BARS).map(({ name, score }) => bar(name, score, least, most)),
    );
    return;
  }
  const names = Object.keys(outputs);
  $("label").textContent = names.length === 1 ? shapeOf(outputs[names[0]]) : `${names.length} outputs`;
  $("outputs").replaceChildren(...Object.entries(outputs).flatMap(([name, each]) => heat(name, each)));
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

const shapeOf = ({ dtype, shape }) => `${dtype} ${shape.join(" × ")}`;

/** Make a table of a tensor: its last axis across, the others down; the most of a row is marked. */
function heat(name, tensor) {
  const width = tensor.shape.at(-1) ?? 1;
  const values = Array.from(tensor.data).slice(0, MOST_CELLS);
  const table = make("table", { class: "heat" });
  for (let start = 0; start < values.length; start += width) {
    const row = values.slice(start, start + width);
    const most = row.indexOf(row.reduce((one, other) => (other > one ? other : one)));
    table.append(
      make(
        "tr",
        {},
        ...row.map((value, i) =>
          make("td", i === most && row.length > 1 ? { class: "most" } : {}, shortened(value)),
        ),
      ),
    );
  }
  const left = tensor.data.length - values.length;
  const note = left > 0 ? `, the first ${values.length} of ${tensor.data.length} values` : "";
  const title = make("p", { class: "small" }, `${name}: ${shapeOf(tensor)}${note}`);
  const region = { class: "scroll", tabindex: "0", role: "region", "aria-label": name };
  return [title, make("div", region, table)];
}

const shortened = (value) => (typeof value === "number" ? Number(value.toPrecision(3)) : value);

/** Show a latency with its conditions. */
export function showLatency({ p50, p90, first, samples, group, warmUp }, where) {
  const figure = (name, ms) =>
    make(
      "div",
      {},
      make("dt", {}, name),
      make("dd", {}, `${Number(ms.toPrecision(3))} `, make("small", {}, "ms")),
    );
  $("latency").replaceChildren(figure("p50", p50), figure("p90", p90), figure("first run", first));
  const runs = group > 1 ? `${samples} samples of ${group} runs each` : `${samples} runs`;
  $("conditions").textContent =
    `${where}; ${runs} after ${warmUp} to warm up, one input at a time, copies in and out ` +
    "included, preprocessing not.";
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
