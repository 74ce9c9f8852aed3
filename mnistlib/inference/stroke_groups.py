"""Group the strokes of a drawing into digits by where they lie; the network decides where that is doubtful."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from mnistlib.imaging.framing import Stroke, as_path
from mnistlib.inference.prediction import Digit, Number, Prediction

OVERLAP = 0.3  # of the narrower one's width: strokes that share more of it are one digit
APART = 0.18  # of the height: a wider gap lies between digits
DOT = 0.25  # of the height: a smaller stroke is no digit, unless it stands further than this from one
REJECTED, EACH = 3.0, 0.35  # costs in nats, beside the negative log probability: of a rejected reading, of a digit
BROAD = 0.8, 2.0  # of the height: wider digits cost so much for each height more

Group = list[Stroke]
Read = Callable[[Sequence[Group]], Sequence[Prediction]]


def read_number(read: Read, strokes: Sequence[Stroke]) -> Number:
    """Read a drawing as one digit or several, from left to right.

    Args:
        read: predicts groups of strokes, each as one digit.
        strokes: in any unit, y down.

    Returns:
        The digits, with boxes in whole units of the strokes.
    """
    groups = [group for apart in group_strokes(strokes) for group in split(read, apart, height_of(strokes))]
    digits = zip(groups, read(groups) if groups else (), strict=True)
    return Number(tuple(Digit(whole_box(group), prediction) for group, prediction in digits))


def group_strokes(strokes: Sequence[Stroke]) -> list[list[Group]]:
    """Group strokes by where they lie, from left to right.

    Strokes are one digit where they share a good part of their width, or one is a mere dot beside the other.

    Returns:
        For each part of the drawing that stands apart its groups; the gaps between these are doubtful.
    """
    height = height_of(strokes)
    groups: list[Group] = []
    for stroke in strokes:
        if not len(stroke):
            continue
        group = [stroke]
        while near := next((other for other in groups if belong_together(other, group, height)), None):
            groups = [other for other in groups if other is not near]
            group = near + group
        groups.append(group)
    groups.sort(key=lambda group: bounds(group)[0])
    parts, right = [groups[:1]] if groups else [], -np.inf
    for before, group in pairwise(groups):
        right = max(right, bounds(before)[2])
        if bounds(group)[0] - right > APART * height:
            parts.append([group])
        else:
            parts[-1].append(group)
    return parts


def belong_together(one: Group, other: Group, height: float) -> bool:
    """Return whether two groups are surely parts of one digit."""
    (a, b), (first, second) = sorted((bounds(one), bounds(other)), key=lambda box: box[0]), (one, other)
    gap = b[0] - a[2]
    if gap <= 0:
        return bool(-gap >= OVERLAP * min(a[2] - a[0], b[2] - b[0], 2 * height))
    return bool(gap <= DOT * height and (is_dot(first, height) or is_dot(second, height)))


def is_dot(group: Group, height: float) -> bool:
    left, top, right, bottom = bounds(group)
    return bool(max(right - left, bottom - top) < DOT * height)


def split(read: Read, groups: list[Group], height: float) -> list[Group]:
    """Join neighbours where the network believes the joined digit more: the cheapest way through all readings."""
    if len(groups) == 1:
        return groups
    ends = [(i, j) for i in range(len(groups)) for j in range(i + 1, min(i + 3, len(groups)) + 1)]
    joined = {(i, j): [stroke for group in groups[i:j] for stroke in group] for i, j in ends}
    costs = dict(
        zip(
            ends,
            (cost(p, joined[e], height) for e, p in zip(ends, read(list(joined.values())), strict=True)),
            strict=True,
        )
    )
    best: list[tuple[float, list[Group]]] = [(0.0, [])]
    for j in range(1, len(groups) + 1):
        ways = ((best[i][0] + costs[i, j], [*best[i][1], joined[i, j]]) for i in range(max(0, j - 3), j))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def cost(prediction: Prediction, group: Group, height: float) -> float:
    """Return what a reading costs: a rejected one costs more the wider it is."""
    left, _, right, _ = bounds(group)
    width = (right - left) / max(height, 1e-9)
    if not prediction.accepted:
        return EACH + REJECTED * max(1.0, width**2)
    return EACH - float(np.log(prediction.confidence)) + BROAD[1] * max(0.0, width - BROAD[0])


def height_of(strokes: Sequence[Stroke]) -> float:
    """Return the height of the tallest stroke, or half the drawing's if that is more; 0 without points."""
    boxes = [bounds([stroke]) for stroke in strokes if len(stroke)]
    if not boxes:
        return 0.0
    whole = max(box[3] for box in boxes) - min(box[1] for box in boxes)
    return max(whole / 2, *(box[3] - box[1] for box in boxes))


def bounds(group: Group) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom."""
    points = np.concatenate([as_path(stroke) for stroke in group])
    return (*map(float, points.min(0)), *map(float, points.max(0)))  # type: ignore[return-value]


def whole_box(group: Group) -> tuple[int, int, int, int]:
    left, top, right, bottom = bounds(group)
    return int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))
