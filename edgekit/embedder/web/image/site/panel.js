// The input: a drawing, a picture's file, or a picture of the reference.

import { isGrey, pictures, viewer } from "./pictures.js";
import { make } from "./view.js";

const SIZE = 280;
const STEP = 7;

/** Put the panel in place; `take` is called with every input. */
export function mount(root, { spec, golden, take }) {
  const seen = viewer(spec);
  const fit = make("input", { type: "checkbox", id: "fit", checked: "" });
  const board = make("canvas", { width: SIZE, height: SIZE, tabindex: "0", role: "img" });
  const context = board.getContext("2d", { willReadFrequently: true });
  const enter = (given) => {
    for (const each of root.querySelectorAll(".samples button")) {
      each.setAttribute("aria-pressed", "false");
    }
    seen.show(given);
    take(given);
  };
  const drawn = () => enter(fit.checked ? fitted(board) : pixels(board));
  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIZE, SIZE);
  };
  const file = make("input", { type: "file", id: "file", accept: "image/*" });
  file.addEventListener("change", async () => {
    const picture = await createImageBitmap(file.files[0]);
    clear();
    const scale = SIZE / Math.max(picture.width, picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    context.drawImage(picture, (SIZE - width) / 2, (SIZE - height) / 2, width, height);
    enter(pixels(board));
  });
  clear();
  root.append(
    ...(isGrey(spec, golden) ? drawing({ board, context, clear, drawn, fit, labels: spec.labels }) : []),
    ...seen.nodes,
    make("p", { class: "small" }, "Or one of the reference:"),
    samples(pictures(spec, golden), enter, board),
    make("p", { class: "row" }, make("label", { for: "file" }, "Or open a picture, bright on dark"), file),
  );
  root.querySelector(".samples button")?.click();
}

/** The part that is drawn on, by pointer or by keys. */
function drawing({ board, context, clear, drawn, fit, labels }) {
  const digits = labels.join() === "0,1,2,3,4,5,6,7,8,9";
  const what = digits ? "Draw a digit" : "Draw";
  board.setAttribute(
    "aria-label",
    `${what}: with a pointer, or with the arrow keys; the space bar puts the pen down and lifts it`,
  );
  const pen = make("div", { class: "pen", "aria-hidden": "true" });
  const at = { x: SIZE / 2, y: SIZE / 2, down: false };
  const stroke = (fromX, fromY, toX, toY) => {
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 24, lineCap: "round", lineJoin: "round" });
    Object.assign(context, { shadowColor: "#fff", shadowBlur: 6 });
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
    context.stroke();
    context.shadowBlur = 0;
    drawn();
  };
  let last = null;
  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = board.getBoundingClientRect();
    return [((clientX - left) / width) * SIZE, ((clientY - top) / height) * SIZE];
  };
  board.addEventListener("pointerdown", (event) => {
    board.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(...last, ...last);
  });
  board.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    stroke(...last, ...next);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"]) board.addEventListener(end, () => (last = null));
  const show = () => {
    pen.style.left = `${(100 * at.x) / SIZE}%`;
    pen.style.top = `${(100 * at.y) / SIZE}%`;
    pen.classList.toggle("down", at.down);
  };
  board.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [x, y] = [at.x, at.y];
    if (event.key === " ") at.down = !at.down;
    else if (moves[event.key]) {
      at.x = Math.min(SIZE, Math.max(0, x + STEP * moves[event.key][0]));
      at.y = Math.min(SIZE, Math.max(0, y + STEP * moves[event.key][1]));
    } else return;
    event.preventDefault();
    show();
    if (at.down) stroke(x, y, at.x, at.y);
  });
  show();
  const button = make("button", { type: "button", class: "primary" }, "Clear");
  button.addEventListener("click", () => {
    clear();
    drawn();
  });
  fit.addEventListener("change", drawn);
  return [
    make("p", { class: "small" }, `${what}, or use the arrow keys: the space bar puts the pen down and lifts it.`),
    make("div", { class: "board" }, board, pen),
    make("p", { class: "row" }, button, make("label", {}, fit, " Fit the drawing to the frame")),
  ];
}

const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);

/** Move and scale what is drawn, so that it fills the frame as the pictures of the training do. */
function fitted(board) {
  const { data } = pixels(board);
  const box = { left: SIZE, top: SIZE, right: -1, bottom: -1 };
  for (let i = 0; i < SIZE * SIZE; i++) {
    if (data[4 * i] < 40) continue;
    const [x, y] = [i % SIZE, Math.floor(i / SIZE)];
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  if (box.right < 0) return pixels(board);
  const [width, height] = [box.right - box.left + 1, box.bottom - box.top + 1];
  const scale = SIZE / Math.max(width, height);
  const made = make("canvas", { width: SIZE, height: SIZE });
  const context = made.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIZE, SIZE);
  const [wide, high] = [width * scale, height * scale];
  const to = [(SIZE - wide) / 2, (SIZE - high) / 2, wide, high];
  context.drawImage(board, box.left, box.top, width, height, ...to);
  return pixels(made);
}

/** Buttons with the reference's pictures on them. */
function samples(known, enter, board) {
  const list = make("ul", { class: "samples", "aria-label": "Pictures of the reference" });
  known.forEach(({ canvas, given }, i) => {
    const name = { "aria-label": `Picture ${i + 1}`, "aria-pressed": "false" };
    const button = make("button", { type: "button", ...name }, canvas);
    button.addEventListener("click", () => {
      board.getContext("2d").drawImage(canvas, 0, 0, SIZE, SIZE);
      enter(given);
      button.setAttribute("aria-pressed", "true");
    });
    list.append(make("li", {}, button));
  });
  return list;
}
