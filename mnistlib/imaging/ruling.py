"""Erase the printed lines of ruled and squared paper, boxes and tables, and leave the strokes that cross them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from mnistlib.imaging.lines import Line, find_lines

FAINT = 48  # ink of a printed line
SMALLEST = 36  # pixels of the longer side: in a smaller picture, a line is as wide as a stroke
BESIDE = 0.07  # of a glyph's size: a printed line at the glyph's edge reaches so far beyond it
ACROSS = (0.12, 0.25)  # a level line, and an upright one, through its middle; a 4's stem reaches beyond the rest of it
STRONG = 0.65  # of a stroke's weight: a lighter line from border to border is no stroke
PAPER = 4  # parallel lines from border to border that make ruled paper
LARGE = 0.3  # of a page's longer side
GLYPHS = 3.0  # of a page's glyphs: a longer line is no stroke
CLEAN, SOME = 0.82, 0.65  # of its length no strokes cross; a line from border to border needs less
JOINT = 1.15  # of the glyphs: what joins two lines and is longer is no stroke
DARKER = 1.2, 20  # factor and more ink: darker pixels of a line are a stroke's
OF_STROKES = 0.3  # part of the strokes that is darker than the lines, where the lines are the lighter
FILLED = 0.35  # of a box: a digit in it is at least as high


def erase_ruling(ink: np.ndarray, page: bool = False) -> np.ndarray:
    """Erase printed lines and boxes; a digit's own straight strokes stay.

    These lines are printed: lines from border to border, if they reach beyond the writing beside them, are lighter
    than strokes or many; and three or four sides of a box with writing in it.

    Args:
        ink: float32 H×W in 0…255, 0 for paper.
        page: whether there are several glyphs, so that lines much longer than a glyph, and what joins two of them, are
            printed, too.

    Returns:
        The ink without printed lines, float32 H×W; unchanged if nothing else is there.
    """
    import cv2

    if max(ink.shape) < SMALLEST:
        return ink
    mask = ink > FAINT
    level, upright = find_lines(mask), find_lines(mask.T)
    if not level and not upright:
        return ink
    printed = judge_whole(ink, mask, *([line for line in group if line.is_whole] for group in (level, upright)))
    printed += box_sides(mask, level, upright)
    if page:
        printed += lines_of_page(mask, level, upright)
    erased, touched, lightest = ink.copy(), [], 0.0
    for view, group in ((erased, level), (erased.T, upright)):
        before = erased.copy()
        for line in group:
            if line in printed:
                pixels = view[line.pixels]
                darker = DARKER[0] * np.percentile(pixels[pixels > FAINT / 2], 80) + DARKER[1]
                lightest = max(lightest, darker)
                view[line.pixels] = np.where(pixels > darker, pixels, 0)
        touched.append(before != erased)
    most = max((2 * line.thickness + 3 for line in printed), default=0)
    erased[crossings(erased, most, *touched)] = 0
    if (erased > lightest).sum() >= OF_STROKES * (erased > FAINT).sum():  # what is left of lighter lines
        erased[cv2.dilate((erased > lightest).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0] = 0
    return erased if find_glyphs(erased > FAINT) else ink


def crossings(erased: np.ndarray, most: float, *touched: np.ndarray) -> np.ndarray:
    """Return where only dots of at most this size are left, at which two printed lines crossed: bool H×W."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats((erased > FAINT / 2).astype(np.uint8), connectivity=8)
    dots = (stats[:, cv2.CC_STAT_WIDTH] <= most) & (stats[:, cv2.CC_STAT_HEIGHT] <= most)
    for pixels in touched:
        near = cv2.dilate(pixels.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        dots &= np.bincount(labels[near], minlength=len(stats)) > 0
    dots[0] = False
    return np.asarray(dots[labels])


def without(picture: np.ndarray, level: Sequence[Line], upright: Sequence[Line]) -> np.ndarray:
    """Return a copy of H×W in which the pixels of these lines are 0."""
    left = picture.copy()
    for line in level:
        left[line.pixels] = 0
    for line in upright:
        left.T[line.pixels] = 0
    return left


def find_glyphs(rest: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return the boxes (left, top, right, bottom) of the writing in a mask: of pieces inside it, if any are large."""
    import cv2

    near = cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    left, top, wide, high, _ = stats[1:].T
    size = np.maximum(wide, high)
    large = size >= max(0.4 * size.max(initial=0), 0.01 * max(rest.shape), 4)
    inside = (left > 0) & (top > 0) & (left + wide < rest.shape[1]) & (top + high < rest.shape[0])
    kept = large & inside if (large & inside).any() else large
    return [tuple(box) for box in np.stack([left, top, left + wide, top + high], 1)[kept].tolist()]


def stroke_weight(ink: np.ndarray, rest: np.ndarray) -> float:
    """Return the ink that a stroke holds across: its width times its median strength."""
    import cv2

    inside = cv2.distanceTransform(rest.astype(np.uint8), cv2.DIST_L2, 3)[rest]
    return float(2 * np.percentile(inside, 85) * np.median(ink[rest])) if len(inside) else 0.0


def judge_whole(ink: np.ndarray, mask: np.ndarray, level: Sequence[Line], upright: Sequence[Line]) -> list[Line]:
    """Return which of the lines from border to border are printed; two that cross may be the strokes of a 4."""
    crossing = len(level) == len(upright) == 1
    rest = without(mask, level, upright)
    limit = STRONG * stroke_weight(ink, rest)
    tight = len(level) + len(upright) <= 2 and fills_picture(mask, rest)
    printed = []
    for lines, others, view, beyond in ((level, upright, ink, ACROSS[0]), (upright, level, ink.T, ACROSS[1])):
        seen = view > FAINT
        glyphs = find_glyphs(without(seen, lines, () if crossing else others))
        for line in lines if glyphs else ():
            lighter = weight(line, view) <= limit
            if len(lines) >= PAPER or (not tight and (lighter or is_printed(line, glyphs, beyond))):
                printed.append(line)
    return printed


def fills_picture(mask: np.ndarray, rest: np.ndarray) -> bool:
    """Return whether the writing is cut to its box: it touches all sides, the largest piece beside the lines one."""
    glyphs = find_glyphs(rest)
    if not glyphs or not all(side.any() for side in (mask[:2], mask[-2:], mask[:, :2], mask[:, -2:])):
        return False
    left, top, right, bottom = max(glyphs, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return left <= 1 or top <= 1 or right >= mask.shape[1] - 1 or bottom >= mask.shape[0] - 1


def weight(line: Line, ink: np.ndarray) -> float:
    """Return the ink that a line holds across, as `stroke_weight` does of strokes."""
    inked = ink[line.pixels]
    return float(line.thickness * np.median(inked[inked > FAINT]))


def lines_of_page(mask: np.ndarray, level: Sequence[Line], upright: Sequence[Line]) -> list[Line]:
    """Return the lines that are much longer than the page's glyphs, and those that join two such lines."""
    large = [[line for line in group if line.end - line.start >= LARGE * max(mask.shape)] for group in (level, upright)]
    glyphs = find_glyphs(without(mask, *large))
    size = np.median([max(right - left, bottom - top) for left, top, right, bottom in glyphs]) if glyphs else np.inf
    groups = [
        [
            line
            for line in group
            if line.end - line.start >= GLYPHS * size and line.share >= (SOME if line.is_whole else CLEAN)
        ]
        for group in (level, upright)
    ]
    joints = [
        line for group, others in ((level, groups[1]), (upright, groups[0])) for line in group if is_held(line, others)
    ]
    return [*groups[0], *groups[1], *joints]


def box_sides(mask: np.ndarray, level: Sequence[Line], upright: Sequence[Line]) -> list[Line]:
    """Return the lines that are three or four sides of a box with writing in it."""
    sides: list[Line] = []
    for lines, others, view in ((level, upright, mask), (upright, level, mask.T)):
        for first, second in combinations(sorted(others, key=lambda line: line.middle), 2):
            across = [line for line in lines if joins(line, first, second)]
            if across and holds_writing(view, first, second, across):
                sides += [first, second, *across]
    return sides


def joins(line: Line, first: Line, second: Line) -> bool:
    """Return whether a line's ends meet ends of two parallel lines of the other direction."""
    near = line.thickness + 3 + 0.03 * (line.end - line.start)
    return all(
        abs(other.middle_at(line.rows[at]) - at) <= near
        and min(abs(other.start - line.rows[at]), abs(other.end - line.rows[at])) <= near
        for at, other in ((line.start, first), (line.end, second))
    )


def holds_writing(mask: np.ndarray, first: Line, second: Line, across: Sequence[Line]) -> bool:
    """Return whether a box holds a glyph of its own: one that touches no side if the box is open."""
    left, right = round(first.middle), round(second.middle)
    top, bottom = min(first.start, second.start), max(first.end, second.end)
    edge = round(2 * max(first.thickness, second.thickness)) + 1
    inside = without(mask, across, [first, second])[top + edge : bottom - edge, left + edge : right - edge]
    if min(inside.shape, default=0) < 6:
        return False
    for x0, y0, x1, y1 in find_glyphs(inside):
        apart = x0 > 0 and y0 > 0 and x1 < inside.shape[1] and y1 < inside.shape[0]
        if max(x1 - x0, y1 - y0) >= FILLED * (bottom - top) and (apart or len(across) > 1):
            return True
    return False


def is_printed(line: Line, glyphs: Sequence[tuple[int, int, int, int]], across: float) -> bool:
    """Return whether a line reaches beyond each glyph near it at both ends, further if it runs through the glyph."""
    for left, top, right, bottom in glyphs:
        size = max(right - left, bottom - top)
        row = line.middle_at((left + right) / 2)
        if row < top - size / 2 or row > bottom + size / 2 or right < line.start - size or left > line.end + size:
            continue
        depth = min(row - top, bottom - row) / (bottom - top)
        beyond = max((across if depth > 0.15 else BESIDE) * size, 1.5)
        if line.start > left - beyond or line.end < right - 1 + beyond:
            return False
    return True


def is_held(line: Line, others: Sequence[Line]) -> bool:
    """Return whether both ends of a line lie on lines of the other direction."""
    return all(
        any(
            max(abs(o.middle_at(line.rows[at]) - at), o.start - line.rows[at], line.rows[at] - o.end)
            <= 2 * o.thickness + 2
            for o in others
        )
        for at in (line.start, line.end)
    )
