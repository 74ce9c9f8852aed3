// The pad in the page: a canvas that takes strokes from mouse, pen or finger, and the digits of readNumber(strokes).
const SIDE = 280, WIDTH = SIDE / 18, PEN = "#1b1b1b", BOX = "#2b6cb0", LONG = 3, DURATION = 2000;
const section = document.getElementById("drawing-pad");
const part = (name) => section.querySelector(`.pad-${name}`);
const paper = part("paper"), bars = [...section.querySelectorAll(".pad-bars li")], replays = [...section.querySelectorAll(".pad-replay")];
const drawings = JSON.parse(document.getElementById("pad-data").textContent).drawings;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const confidenceText = (share) => percent(Math.min(share, 0.999));  // never 100 %
const counted = (count) => `${count} stroke${count === 1 ? "" : "s"}`;
let strokes = [], pointer = null, frame = 0, replaying = 0;

// Ink with a round pen as wide as an eighteenth of the paper, however many pixels that has; one point alone is a dot.
function ink(canvas, drawn) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.scale(canvas.width / SIDE, canvas.height / SIDE);
  Object.assign(context, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: PEN, fillStyle: PEN });
  for (const stroke of drawn) {
    context.beginPath();
    if (stroke.length === 1) context.arc(...stroke[0], WIDTH / 2, 0, 2 * Math.PI);
    for (const point of stroke) context.lineTo(...point);
    if (stroke.length === 1) context.fill();
    else context.stroke();
  }
}

// A box around each digit of several.
function drawBoxes(digits) {
  if (digits.length < 2) return;
  const context = paper.getContext("2d"), margin = WIDTH / 2 + 2;
  Object.assign(context, { lineWidth: 1.5, lineJoin: "miter", strokeStyle: BOX });
  for (const { box: [left, top, right, bottom] } of digits) {
    context.strokeRect(left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin);
  }
}

function caption(answer) {
  if (answer.rejectionReason === "no ink") return "no ink yet";
  if (answer.accepted) return `${confidenceText(Math.max(...answer.probabilities))} sure`;
  return answer.rejectionReason === "not like a digit" ? "this is not a digit" : `not a clear digit; perhaps ${answer.digit}`;
}

const text = (digits) => digits.map((one) => (one.accepted ? one.digit : "?")).join("");

function show(digits) {
  const several = digits.length > 1, lines = part("lines");
  part("bars").hidden = several;
  lines.hidden = !several;
  part("digit").classList.toggle("long", digits.length > LONG);
  if (several) {
    part("digit").textContent = text(digits);
    part("caption").textContent = `${digits.length} digits`;
    lines.replaceChildren(...digits.map((one) => Object.assign(document.createElement("li"), { textContent: caption(one) })));
    digits.forEach((one, i) => lines.children[i].prepend(Object.assign(document.createElement("b"), { textContent: text([one]) })));
  } else showOne(digits[0] ?? globalThis.recognise([]));
  showSeen(digits);
}

function showOne(answer) {
  const empty = answer.rejectionReason === "no ink";
  part("digit").textContent = answer.accepted ? answer.digit : "?";
  part("caption").textContent = caption(answer);
  bars.forEach((bar, digit) => {
    const share = empty ? 0 : answer.probabilities[digit];
    bar.classList.toggle("best", !empty && digit === answer.digit);
    bar.querySelector("i").style.width = percent(share).replace(" ", "");
    bar.querySelector(".pad-share").textContent = confidenceText(share);
  });
}

// What the model saw of each digit, in a square of rows.
function showSeen(digits) {
  const saw = part("saw"), context = saw.getContext("2d"), side = Math.max(1, Math.ceil(Math.sqrt(digits.length)));
  saw.width = saw.height = 28 * side;
  context.fillRect(0, 0, saw.width, saw.height);
  digits.forEach(({ image }, i) => {
    const pixels = context.createImageData(28, 28);
    image.forEach((bright, k) => pixels.data.set([bright, bright, bright, 255], 4 * k));
    context.putImageData(pixels, 28 * (i % side), 28 * Math.floor(i / side));
  });
}

// Redraw and classify once for all events before the next frame.
function refresh() {
  frame ||= requestAnimationFrame(answerNow);
}
function answerNow() {
  cancelAnimationFrame(frame);
  frame = 0;
  ink(paper, strokes);
  const digits = globalThis.readNumber(strokes);
  drawBoxes(digits);
  show(digits);
  return digits;
}

function say(text) {
  part("status").textContent = text;
}
function sayAnswer() {
  const digits = answerNow(), [answer = globalThis.recognise([])] = digits;
  const read = digits.length > 1 ? `${text(digits)}, ${digits.length} digits` : `${answer.accepted ? `${answer.digit}, ` : ""}${caption(answer)}`;
  say(`${counted(strokes.length)}: ${read}`);
}

// A pointer's position in units of the paper; outside of it too, because a captured stroke may leave and come back.
function place(event) {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left - paper.clientLeft) / paper.clientWidth) * SIDE, ((event.clientY - box.top - paper.clientTop) / paper.clientHeight) * SIDE];
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  if (replaying) strokes = [];
  stopReplay();
  pointer = event.pointerId;
  paper.setPointerCapture(pointer);
  strokes.push([place(event)]);
  refresh();
});
paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  strokes[strokes.length - 1].push(...(events.length ? events : [event]).map(place));
  refresh();
});
for (const ending of ["pointerup", "pointercancel", "lostpointercapture"]) {
  paper.addEventListener(ending, (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    sayAnswer();
  });
}

function start(drawn, text) {
  stopReplay();
  pointer = null;
  strokes = drawn;
  answerNow();
  say(text);
}
function clear() {
  start([], "cleared");
}
function undo() {
  if (strokes.length) start(strokes.slice(0, -1), `last stroke undone; ${strokes.length - 1} left`);
  else say("nothing to undo");
}
part("undo").addEventListener("click", undo);
part("clear").addEventListener("click", clear);
section.addEventListener("keydown", (event) => {
  const act = { z: undo, c: clear }[event.key.toLowerCase()];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

// The first points of a drawing, as many as `count`.
function begun(drawn, count) {
  const before = (number) => drawn.slice(0, number).flat().length;
  return drawn.map((stroke, i) => stroke.slice(0, Math.max(0, count - before(i)))).filter((stroke) => stroke.length);
}

// Replay a drawing point by point in about two seconds, or at once where reduced motion is preferred.
function replay(number) {
  const drawn = drawings[number], whole = drawn.flat().length;
  let began = 0;
  const step = (now) => {
    began ||= now;
    const count = Math.min(whole, 1 + Math.floor(((now - began) / DURATION) * whole));
    strokes = begun(drawn, count);
    if (count === whole) replaying = 0;
    else replaying = requestAnimationFrame(step);
    if (replaying) answerNow();
    else sayAnswer();
  };
  start([], `drawing ${number + 1}`);
  replays[number].setAttribute("aria-pressed", "true");
  paper.scrollIntoView({ block: "nearest" });
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    strokes = begun(drawn, whole);
    sayAnswer();
  } else replaying = requestAnimationFrame(step);
}
function stopReplay() {
  cancelAnimationFrame(replaying);
  replaying = 0;
  replays.forEach((button) => button.setAttribute("aria-pressed", "false"));
}
replays.forEach((button, number) => {
  ink(button.querySelector("canvas"), drawings[number]);
  button.addEventListener("click", () => replay(number));
});
answerNow();
say("Draw a digit.");
