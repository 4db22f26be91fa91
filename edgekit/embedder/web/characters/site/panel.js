// The input: a text.

import { make } from "./view.js";

const MOST_SAMPLES = 6;

/** Put the panel in place; `take` is called with every input. */
export function mount(root, { spec, golden, take }) {
  const field = make("input", { type: "text", id: "text", autocomplete: "off", spellcheck: "false" });
  field.maxLength = 200;
  const label = make("label", { for: "text" }, "Type a text, such as a name");
  const samples = make("ul", { class: "samples", "aria-label": "Examples" });
  const names = texts(spec, golden);
  for (const name of names.slice(0, MOST_SAMPLES)) {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      field.value = name;
      take(name);
    });
    samples.append(make("li", {}, button));
  }
  field.addEventListener("input", () => {
    if (field.value.trim()) take(field.value);
  });
  root.append(label, field, make("p", { class: "small" }, "Or try one of these:"), samples);
  field.value = names[0] ?? "hello";
  take(field.value);
}

/** Give the reference's texts; where the model takes ids, they are read back. */
function texts({ preprocessing: rule }, { cases }) {
  const alphabet = Array.from(rule?.alphabet ?? "");
  const read = ({ inputs }) => {
    if (!rule) return inputs[0].data[0];
    const { data } = inputs.find(({ name }) => name === rule.input);
    return data.map((id) => alphabet[id - rule.offset] ?? "").join("");
  };
  const written = (text) => text.replace(/(^|[\s'-])\p{L}/gu, (letter) => letter.toUpperCase());
  return [...new Set(cases.map(read).map(written))].filter((text) => text.trim());
}
