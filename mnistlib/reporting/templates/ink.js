// Strokes → a 28×28 image framed as MNIST: a port of mnistlib/imaging/framing.py that gives the same bytes.
// It rasterizes lines and discs by Pillow's rules, in whole pixels.
const SIZE = 28, BOX = 20, PEN = 2.7, FINER = 8, PAGE = BOX * FINER, WIDTH = Math.round(PEN * FINER);
const THINNINGS = 3, ASIDE = 0.25, A_POINT = 1e-300;

// Strokes of [x, y], y down, in any units and at any place → Uint8Array 28·28, ink bright; without any point, all 0.
function rasterize(strokes) {
  const paths = strokes.filter((stroke) => stroke.length);
  const points = paths.flat();
  if (!points.flat().every(Number.isFinite)) throw new Error("a stroke is a sequence of finite [x, y]");
  if (!points.length) return new Uint8Array(SIZE * SIZE);
  const most = (pick, axis) => points.reduce((found, point) => pick(found, point[axis]), points[0][axis]);
  const low = [0, 1].map((axis) => most(Math.min, axis) / 2), high = [0, 1].map((axis) => most(Math.max, axis) / 2);
  const half = Math.max(high[0] - low[0], high[1] - low[1]);
  const scale = half > A_POINT ? (FINER * (BOX - PEN)) / half : 0;
  const place = (value, axis) => rint(((value / 2 - (low[axis] + high[axis]) / 2) * scale + PAGE / 2) * 1e4) / 1e4;
  const page = new Uint8Array(PAGE * PAGE);
  for (const path of paths) drawPath(page, path.map((point) => point.map(place)));
  return centre(reduce(page));
}

// To the nearest whole number, halves to the even one, as NumPy rounds.
function rint(value) {
  const below = Math.floor(value), rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

// One stroke in page pixels, with round ends and joins; points closer than a page pixel are left out.
function drawPath(page, path) {
  const grid = path.map((point) => point.map(rint));
  const points = thinned(path.filter((_, i) => !i || grid[i][0] !== grid[i - 1][0] || grid[i][1] !== grid[i - 1][1]));
  for (let i = 1; i < points.length; i++) fillLine(page, points[i - 1], points[i], WIDTH);
  const radius = (PEN * FINER) / 2;  // a joint stays within the lines' own width
  points.forEach((point, i) => fillDisc(page, point, i === 0 || i === points.length - 1 ? radius : radius - 1));
}

// The end or joint of a stroke, in the box of whole pixels that holds it.
function fillDisc(page, [x, y], radius) {
  const left = Math.trunc(x - radius), top = Math.trunc(y - radius);
  const a = Math.trunc(x + radius) - left, b = Math.trunc(y + radius) - top;
  for (const [row, half] of discRows(a, b)) fillSpan(page, top + (row + b) / 2, left + (a - half) / 2, left + (a + half) / 2);
}

// Rows and half the width of each, in half pixels, of an ellipse a and b half pixels in radius: from the widest point
// outwards, always the one of three steps that leaves it least.
function discRows(a, b) {
  const rows = new Map();
  const off = ([x, y]) => Math.abs(a * a * y * y + b * b * x * x - a * a * b * b);
  for (let here = [a, b % 2]; here; ) {
    const [x, y] = here;
    if (!rows.has(y)) rows.set(y, x).set(-y, x);
    const steps = x > 1 ? [[x, y + 2], [x - 2, y + 2], [x - 2, y]] : [[x, y + 2]];
    here = x === a % 2 && y === b ? null : steps.reduce((best, step) => (off(step) < off(best) ? step : best));
  }
  return [...rows];
}

// Points without every other one that lies on the way between its neighbours, as a fast pen leaves many.
function thinned(points) {
  for (let pass = 0; pass < THINNINGS; pass++) {
    points = points.filter(([x, y], i, all) => {
      if (i % 2 === 0 || i === all.length - 1) return true;
      const [before, after] = [all[i - 1], all[i + 1]];
      const way = [after[0] - before[0], after[1] - before[1]], gone = [x - before[0], y - before[1]];
      const share = (way[0] * gone[0] + way[1] * gone[1]) / Math.max(way[0] ** 2 + way[1] ** 2, 1e-9);
      const [dx, dy] = [0, 1].map((axis) => gone[axis] - Math.min(Math.max(share, 0), 1) * way[axis]);
      return dx * dx + dy * dy > ASIDE ** 2;
    });
  }
  return points;
}

function fillSpan(page, y, left, right) {
  if (y >= 0 && y < PAGE && right >= 0 && left < PAGE) page.fill(255, y * PAGE + Math.max(left, 0), y * PAGE + Math.min(right, PAGE - 1) + 1);
}

// Halves away from 0, or towards it.
const roundUp = (value) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
const roundDown = (value) => Math.sign(value) * Math.ceil(Math.abs(value) - 0.5);

// A straight line between whole pixels, as a filled quadrangle.
function fillLine(page, from, to, width) {
  const [[x0, y0], [x1, y1]] = [from.map(Math.trunc), to.map(Math.trunc)];
  const half = (width - 1) / 2, dx = x1 - x0, dy = y1 - y0, length = Math.sqrt(dx * dx + dy * dy);
  const more = roundUp(half) / length, less = roundDown(half) / length;
  const left = roundDown(less * dy), right = roundDown(more * dy), above = roundDown(less * dx), below = roundDown(more * dx);
  fillPolygon(page, [[x0 - left, y0 + below], [x1 - left, y1 + below], [x1 + right, y1 - above], [x0 + right, y0 - above]]);
}

// A filled polygon: in every row the spans between two crossings of its edges, in single precision as Pillow's.
function fillPolygon(page, corners) {
  const edges = [];
  let top = PAGE, bottom = 0;
  for (let i = 0; i < corners.length; i++) {
    const [x0, y0] = corners[i], [x1, y1] = corners[(i + 1) % corners.length];
    top = Math.min(top, y0);
    bottom = Math.max(bottom, y0);
    if (y0 === y1) fillSpan(page, y0, Math.min(x0, x1), Math.max(x0, x1));
    else edges.push({ x0, y0, top: Math.min(y0, y1), bottom: Math.max(y0, y1), slope: Math.fround((x1 - x0) / (y1 - y0)) });
  }
  for (let y = top; y <= bottom; y++) {
    const crossings = [];
    for (const edge of edges) {
      if (y < edge.top || y > edge.bottom) continue;
      const x = crossing(edge, y);
      if (y === edge.bottom && y < bottom) crossings.push(x, x);
      else crossings.push(y === edge.top || y === edge.bottom ? cornerOr(x, edge, y, edges) : x);
    }
    crossings.sort((a, b) => a - b);
    for (let i = 1; i < crossings.length; i += 2) fillSpan(page, y, roundUp(crossings[i - 1]), roundDown(crossings[i]));
  }
}

const crossing = (edge, y) => Math.fround(Math.fround((y - edge.y0) * edge.slope) + edge.x0);

// The crossing x itself or, where a flat edge meets one before it in a corner, as far out as the row beside begins.
function cornerOr(x, edge, y, edges) {
  const beside = y === edge.bottom ? y - 1 : y + 1;
  for (const other of edges) {
    if (other === edge || !edge.slope) break;
    const meets = (y === other.top || y === other.bottom) && other.slope && roundUp(x) === roundUp(crossing(other, y));
    if (!meets || beside < other.top || beside > other.bottom) continue;
    const near = crossing(edge, beside), far = crossing(other, beside);
    if (x > Math.max(near, far) + 1) return roundUp(Math.max(near, far)) + 1;
    return x < Math.min(near, far) - 1 ? roundUp(Math.min(near, far)) - 1 : x;
  }
  return x;
}

// The page 160×160 averaged into 20×20, rows and then columns, each rounded to whole grey values as Pillow does.
function reduce(page) {
  const narrow = new Uint8Array(PAGE * BOX), small = new Uint8Array(BOX * BOX);
  for (let i = 0; i < narrow.length; i++) {
    let sum = 0;
    for (let k = 0; k < FINER; k++) sum += page[i * FINER + k];
    narrow[i] = Math.floor(sum / FINER + 0.5);
  }
  for (let i = 0; i < small.length; i++) {
    let sum = 0;
    for (let k = 0; k < FINER; k++) sum += narrow[(Math.floor(i / BOX) * FINER + k) * BOX + (i % BOX)];
    small[i] = Math.floor(sum / FINER + 0.5);
  }
  return small;
}

// 20×20 put into 28×28, the barycentre of its ink in the middle; what falls outside is cut off.
function centre(small) {
  const framed = new Uint8Array(SIZE * SIZE);
  let total = 0, rows = 0, columns = 0;
  small.forEach((ink, i) => {
    total += ink;
    rows += ink * (Math.floor(i / BOX) + 0.5);
    columns += ink * ((i % BOX) + 0.5);
  });
  if (!total) return framed;
  const top = Math.trunc(SIZE / 2 + 1 - rows / total), left = Math.trunc(SIZE / 2 + 1 - columns / total);
  small.forEach((ink, i) => {
    const row = top + Math.floor(i / BOX), column = left + (i % BOX);
    if (row >= 0 && row < SIZE && column >= 0 && column < SIZE) framed[row * SIZE + column] = ink;
  });
  return framed;
}

globalThis.rasterize = rasterize;
