// Strokes → digits, grouped by where they lie: a port of mnistlib/inference/stroke_groups.py.
const OVERLAP = 0.3, APART = 0.18, DOT = 0.25, REJECTED = 3, EACH = 0.35, BROAD = 0.8, WIDER = 2;

// Strokes → digits from left to right, each with what recognise() returns and its box [left, top, right, bottom].
function readNumber(strokes) {
  const height = heightOf(strokes.filter((stroke) => stroke.length));
  const digits = groupStrokes(strokes).flatMap((part) => splitPart(part, height));
  return digits.map((group) => ({ ...globalThis.recognise(group), box: bounds(group) }));
}

// The parts of the drawing that stand apart, each as groups of strokes; the gaps between these are doubtful.
function groupStrokes(strokes) {
  const drawn = strokes.filter((stroke) => stroke.length), height = heightOf(drawn), parts = [];
  let groups = [], right = -Infinity;
  for (const stroke of drawn) {
    let group = [stroke], near;
    while ((near = groups.find((other) => belongTogether(other, group, height)))) {
      groups = groups.filter((other) => other !== near);
      group = [...near, ...group];
    }
    groups.push(group);
  }
  for (const group of groups.sort((a, b) => bounds(a)[0] - bounds(b)[0])) {
    if (!parts.length || bounds(group)[0] - right > APART * height) parts.push([group]);
    else parts[parts.length - 1].push(group);
    right = Math.max(right, bounds(group)[2]);
  }
  return parts;
}

// Whether two groups share a good part of their width, or one is a mere dot beside the other.
function belongTogether(one, other, height) {
  const [a, b] = [bounds(one), bounds(other)].sort((x, y) => x[0] - y[0]), gap = b[0] - a[2];
  if (gap <= 0) return -gap >= OVERLAP * Math.min(a[2] - a[0], b[2] - b[0], 2 * height);
  return gap <= DOT * height && [a, b].some((box) => Math.max(box[2] - box[0], box[3] - box[1]) < DOT * height);
}

// The cheapest way through all readings of neighbours, joined by up to three.
function splitPart(groups, height) {
  if (groups.length === 1) return groups;
  const best = [{ cost: 0, digits: [] }];
  for (let end = 1; end <= groups.length; end++) {
    for (let start = Math.max(0, end - 3); start < end; start++) {
      const joined = groups.slice(start, end).flat(), cost = best[start].cost + costOf(joined, height);
      if (!best[end] || cost < best[end].cost) best[end] = { cost, digits: [...best[start].digits, joined] };
    }
  }
  return best[groups.length].digits;
}

// A rejected reading costs more the wider it is.
function costOf(group, height) {
  const { accepted, probabilities } = globalThis.recognise(group), box = bounds(group), width = (box[2] - box[0]) / Math.max(height, 1e-9);
  if (!accepted) return EACH + REJECTED * Math.max(1, width ** 2);
  return EACH - Math.log(Math.max(...probabilities)) + WIDER * Math.max(0, width - BROAD);
}

// The height of the tallest stroke, or half the drawing's if that is more.
function heightOf(strokes) {
  const heights = strokes.map((stroke) => bounds([stroke])).map((box) => box[3] - box[1]), whole = strokes.length ? bounds(strokes) : [0, 0, 0, 0];
  return Math.max((whole[3] - whole[1]) / 2, ...heights);
}

function bounds(group) {
  const along = (pick, axis) => group.flat().reduce((found, point) => pick(found, point[axis]), group[0][0][axis]);
  return [along(Math.min, 0), along(Math.min, 1), along(Math.max, 0), along(Math.max, 1)];
}

globalThis.readNumber = readNumber;
globalThis.groupStrokes = groupStrokes;
