// Interactive confusion matrix, t-SNE map and confidence threshold. The static figures stay in the page, hidden, for print.
// Only text and numbers of the data go into elements, never markup.
const COLORS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#d37295", "#6b6b6b", "#b6992d", "#2aa6a1"];
const REACH = 40;
const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("explore-data").textContent);
const images = data.images.map(([index, label, prediction, confidence, level], place) => ({
  index, place, confidence, level, wrong: label !== prediction, label, prediction,
  trueClass: data.classes[label], predictedClass: data.classes[prediction],
}));
const percent = (share) => `${(100 * share).toFixed(2)} %`;
const confidenceText = (confidence) => percent(Math.min(confidence, 0.9999));  // never 100 %
const grouped = (number) => number.toLocaleString("en");
const counted = (number) => `${grouped(number)} image${number === 1 ? "" : "s"}`;

function make(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}
function draw(name, attributes, ...inside) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}
function replaceFigure(name, element) {
  const figure = document.getElementById(name);
  if (!figure) return;
  figure.querySelector(".scroll").hidden = true;
  figure.classList.add("wide");
  figure.querySelector("figcaption").before(element);
}
const describe = (p) => `no. ${p.index}: ${p.trueClass}, classified ${p.wrong ? `as ${p.predictedClass}` : "correctly"}, confidence ${confidenceText(p.confidence)}`;
function tile(p, size) {
  const [row, column] = [Math.floor(p.place / data.columns), p.place % data.columns];
  const element = make("span", { class: "tile", role: "img", "aria-label": describe(p) });
  element.style.width = element.style.height = `${size}px`;
  element.style.backgroundSize = `${data.columns * size}px auto`;
  element.style.backgroundPosition = `${-column * size}px ${-row * size}px`;
  return element;
}
function strip(title, list) {
  const row = make("div", { class: "strip" }, ...list.map((p) =>
    make("span", { class: p.wrong ? "shot wrong" : "shot" }, tile(p, 56),
      make("span", {}, p.wrong ? `${p.trueClass} → ${p.predictedClass}` : p.trueClass), make("small", {}, `${confidenceText(p.confidence)} · ${p.index}`))));
  return [make("p", { class: "note" }, title), row];
}

const tiles = new CSSStyleSheet();
tiles.replaceSync(`.tile { background-image: url(data:image/png;base64,${data.sheet}); }`);
document.adoptedStyleSheets = [tiles];
replaceFigure("confusion_matrix", matrix());
replaceFigure("tsne_plot", map());
document.getElementById("risk_coverage")?.append(slider());

function matrix() {
  const most = Math.max(1, ...data.matrix.flatMap((row, i) => row.filter((_, j) => i !== j)));
  const below = make("div", { "aria-live": "polite" }, make("p", { class: "note" }, "Select a number to see its images."));
  const table = make("table", { class: "confusion" });
  const long = data.classes.some((name) => name.length > 3) ? "long-names" : "";
  table.append(make("tr", { class: long }, make("td"), ...data.classes.map((name) => make("th", { scope: "col" }, make("span", {}, name)))));
  data.matrix.forEach((counts, label) => {
    const row = make("tr", {}, make("th", { scope: "row" }, data.classes[label]));
    counts.forEach((count, prediction) => {
      const cell = make("td", { class: label === prediction ? "right" : "" });
      if (count) {
        const heading = `${data.classes[label]} classified ${label === prediction ? "correctly" : `as ${data.classes[prediction]}`}`;
        const button = make("button", { type: "button", "aria-pressed": "false", "aria-label": `${heading}: ${counted(count)}` }, String(count));
        if (label !== prediction) cell.style.setProperty("--heat", `${Math.round(12 + (48 * count) / most)}%`);
        button.addEventListener("click", () => {
          table.querySelectorAll("button").forEach((other) => { other.setAttribute("aria-pressed", String(other === button)); });
          const inside = images.filter((p) => p.label === label && p.prediction === prediction);
          const list = (label === prediction ? inside.reverse() : inside).slice(0, data.most.in_a_cell);
          const which = label === prediction ? "least confident first" : "most confident first";
          below.replaceChildren(...strip(`${heading}: ${counted(count)}, ${which}${list.length < count ? ` (${list.length} shown)` : ""}`, list));
        });
        cell.append(button);
      }
      row.append(cell);
    });
    table.append(row);
  });
  return make("div", { class: "explore beside" }, table, below);
}

function map() {
  const points = data.points.map(([x, y, place]) => ({ x, y, p: images[place] }));
  const marks = points.map(({ x, y, p }) => draw("circle", { cx: x, cy: y, r: 7, fill: COLORS[p.label % 10], class: p.wrong ? "mistaken" : "" }));
  const ring = draw("circle", { r: 16, class: "ring", visibility: "hidden" });
  const names = data.classes.map((name, label) => {
    const middle = (axis) => points.filter(({ p }) => p.label === label).map((point) => point[axis]).sort((a, b) => a - b);
    const [xs, ys] = [middle("x"), middle("y")];
    return xs.length ? draw("text", { x: xs[xs.length >> 1], y: ys[ys.length >> 1] }, name) : "";
  });
  const svg = draw("svg", { viewBox: "0 0 1000 1000", tabindex: "0", role: "application", class: "map",
    "aria-label": `t-SNE map of ${points.length} test images; the arrow keys move from one image to the next` }, ...marks, ...names, ring);
  const selected = make("div", { class: "selected", "aria-live": "polite" }, make("p", { class: "note" }, "Point at or tap a dot to see its image, or use the arrow keys."));
  let current = -1;
  function choose(i) {
    if (i < 0 || i === current) return;
    current = i;
    const { x, y, p } = points[i];
    for (const [key, value] of Object.entries({ cx: x, cy: y, visibility: "visible" })) ring.setAttribute(key, value);
    selected.replaceChildren(tile(p, 84), make("p", {}, describe(p)));
  }
  function nearest(x, y, allowed) {
    let [best, distance] = [-1, Infinity];
    points.forEach((point, i) => {
      const d = Math.hypot(point.x - x, point.y - y);
      if (d < distance && allowed(point, i, d)) [best, distance] = [i, d];
    });
    return best;
  }
  function at(event) {
    const box = svg.getBoundingClientRect();
    const [x, y] = [(1000 * (event.clientX - box.left)) / box.width, (1000 * (event.clientY - box.top)) / box.height];
    choose(nearest(x, y, (point, i, d) => d < REACH));
  }
  svg.addEventListener("pointermove", at);
  svg.addEventListener("pointerdown", at);
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    if (current < 0) return choose(0);
    const from = points[current];
    choose(nearest(from.x, from.y, ({ x, y }, i) => {
      const [along, aside] = [(x - from.x) * way[0] + (y - from.y) * way[1], Math.abs((x - from.x) * way[1]) + Math.abs((y - from.y) * way[0])];
      return i !== current && along > 0 && along >= aside;
    }));
  });
  const legend = make("div", { class: "legend", role: "group", "aria-label": "show one class only" });
  data.classes.forEach((name, label) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, make("span", { class: "dot" }), name);
    button.firstChild.style.background = COLORS[label % 10];
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      legend.querySelectorAll("button").forEach((other) => { other.setAttribute("aria-pressed", String(on && other === button)); });
      marks.forEach((mark, i) => { mark.classList.toggle("dim", on && points[i].p.label !== label); });
    });
    legend.append(button);
  });
  return make("div", { class: "explore beside" }, svg, make("div", {}, legend, selected));
}

function slider() {
  const range = make("input", { type: "range", min: 0, max: data.thresholds.length - 1, step: 1, id: "threshold" });
  const value = make("output", { for: "threshold" });
  const reset = make("button", { type: "button" }, "Reset to the calibrated value");
  const result = make("p", { id: "threshold-result", "aria-live": "polite" });
  const below = make("div", {});
  function show() {
    const step = Number(range.value);
    const [accepted, wrong] = data.steps[step];
    const at = percent(Math.ceil(1e4 * data.thresholds[step] - 1e-6) / 1e4), ambiguous = data.count - accepted - data.outliers;
    value.textContent = at;
    range.setAttribute("aria-valuetext", at);
    const error = accepted ? `, ${grouped(wrong)} of them wrong (${percent(wrong / accepted)})` : "";
    result.textContent = `Accepted: ${grouped(accepted)} of ${grouped(data.count)} predictions (${percent(accepted / data.count)})${error}. `
      + `Rejected: ${grouped(ambiguous)} below this confidence and ${grouped(data.outliers)} by the OOD score.`;
    const rejected = images.filter((p) => p.level && p.level <= step).slice(0, data.most.just_rejected);
    const errors = images.filter((p) => p.wrong && p.level > step).slice(0, data.most.wrong);
    below.replaceChildren(...strip(rejected.length ? "Rejected, closest to the threshold:" : "The confidence rejects no prediction.", rejected),
      ...strip(errors.length ? "Accepted, but wrong:" : "No wrong prediction is accepted.", errors));
  }
  range.addEventListener("input", show);
  reset.addEventListener("click", () => { range.value = data.chosen; show(); });
  range.value = data.chosen;
  show();
  return make("div", { class: "explore" }, make("label", { for: "threshold" }, "Accept predictions with a confidence of at least "), value, range, reset, result, below);
}
