// The input: a series, pasted as a table or chosen from the reference, drawn as a chart.

import { parse } from "./preprocess.js";
import { make } from "./view.js";

const [WIDTH, HEIGHT, EDGE] = [640, 240, 8];

/** Put the panel in place; `take` is called with every input. */
export function mount(root, { spec, golden, take }) {
  const { channels, input } = spec.preprocessing;
  const chart = make("div", { class: "chart" });
  const range = make("p", { class: "small" });
  const area = make("textarea", { id: "table", spellcheck: "false", wrap: "off" });
  const file = make("input", { type: "file", id: "file", accept: ".csv,.txt,text/csv" });
  const show = (rows) => {
    if (!rows.length || rows.some((row) => row.some((value) => !Number.isFinite(value)))) return;
    chart.replaceChildren(draw(rows));
    const all = rows.flat();
    const [low, high] = [Math.min(...all), Math.max(...all)];
    range.textContent = `${rows.length} steps of ${rows[0].length} channels, from ${low.toPrecision(3)} to ${high.toPrecision(3)}.`;
  };
  const enter = (rows) => {
    for (const each of root.querySelectorAll(".samples button")) {
      each.setAttribute("aria-pressed", "false");
    }
    show(rows);
    take(rows);
  };
  const fill = (rows) => {
    area.value = rows.map((row) => row.join(", ")).join("\n");
    enter(rows);
  };
  area.addEventListener("input", () => enter(parse(area.value)));
  file.addEventListener("change", async () => fill(parse(await file.files[0].text())));
  const samples = golden.cases.map(({ inputs }) => {
    const { data } = inputs.find(({ name }) => name === input);
    return Array.from({ length: data.length / channels }, (_, i) =>
      data.slice(i * channels, (i + 1) * channels),
    );
  });
  root.append(
    make("p", { class: "small" }, "A series of the reference:"),
    buttons(samples, fill),
    chart,
    range,
    make("label", { for: "table" }, `Or paste a table: a row a step, ${channels} numbers in it`),
    area,
    make("p", { class: "row" }, make("label", { for: "file" }, "Or open a .csv file"), file),
  );
  if (samples.length) root.querySelector(".samples button").click();
}

function buttons(samples, fill) {
  const list = make("ul", { class: "samples", "aria-label": "Series of the reference" });
  samples.forEach((rows, i) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, `${i + 1}`);
    button.addEventListener("click", () => {
      fill(rows);
      button.setAttribute("aria-pressed", "true");
    });
    list.append(make("li", {}, button));
  });
  return list;
}

/** Draw a line a channel. */
function draw(rows) {
  const all = rows.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (i) => EDGE + (i / Math.max(1, rows.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (value) => HEIGHT - EDGE - ((value - low) / (high - low || 1)) * (HEIGHT - 2 * EDGE);
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": "The series, a line for each channel",
  });
  if (low < 0 && high > 0) svg.append(line([[EDGE, y(0)], [WIDTH - EDGE, y(0)]], "zero"));
  rows[0].forEach((_, channel) => {
    const drawn = line(rows.map((row, i) => [x(i), y(row[channel])]), "channel");
    drawn.setAttribute("stroke", `hsl(${(360 * channel) / rows[0].length} 62% 52%)`);
    svg.append(drawn);
  });
  return svg;
}

function line(points, name) {
  const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  return shape("polyline", { class: name, points: path });
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
