// The input: tensors by name, of the reference, or changed by hand.

import { make } from "./view.js";

/** Put the panel in place; `take` is called with every input. */
export function mount(root, { spec, golden, take }) {
  const area = make("textarea", { id: "feeds", spellcheck: "false" });
  const problem = make("p", { class: "small bad", role: "status" });
  const list = make("ul", { class: "samples", "aria-label": "Samples of the reference" });
  const fill = (feeds) => {
    area.value = `{\n${Object.entries(feeds).map(written).join(",\n")}\n}`;
    take(feeds);
  };
  golden.cases.forEach(({ inputs }, i) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, `${i + 1}`);
    button.addEventListener("click", () => {
      for (const each of list.querySelectorAll("button")) each.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", "true");
      problem.textContent = "";
      fill(Object.fromEntries(inputs.map(({ name, shape, data }) => [name, { shape, data }])));
    });
    list.append(make("li", {}, button));
  });
  area.addEventListener("input", () => {
    try {
      take(JSON.parse(area.value));
      problem.textContent = "";
    } catch (error) {
      problem.textContent = `This is not JSON: ${error.message}`;
    }
  });
  const takes = spec.inputs.map(({ name, dtype, shape }) => `${name}: ${dtype} ${shape.join(" × ")}`);
  root.append(
    make("p", { class: "small" }, `The model takes ${takes.join("; ")}. A sample of the reference:`),
    list,
    make("label", { for: "feeds" }, "Its tensors, which may be changed"),
    area,
    problem,
  );
  list.querySelector("button")?.click();
}

const written = ([name, { shape, data }]) =>
  `  ${JSON.stringify(name)}: {"shape": ${JSON.stringify(shape)}, "data": ${JSON.stringify(data)}}`;
