"""Find the printed boxes of forms, tables and sudokus, also on paper that is not flat, and what is written in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnistlib.imaging.segmentation import Piece, find_pieces, join

FAINT = 48  # ink of a printed line
FEWEST, MOST = 5, 150  # boxes; more are squared paper
SQUARE = 0.45, 1.8  # width to height of a box
FILLED = 0.7  # of the rectangle around it: a hole in the lines is a box
ALIKE = 0.6, 1.6  # area of a box to the usual one's
INSET = 0.1  # of a box's side, left out at its lines
HIGH = 0.3  # of a box: writing in it is at least as high


@dataclass(frozen=True, eq=False)
class Cell:
    """A printed box: its row and column in the form, its place (left, top, right, bottom), and its ink, if any."""

    row: int
    column: int
    box: tuple[int, int, int, int]
    piece: Piece | None


def find_cells(ink: np.ndarray) -> list[Cell]:
    """Return the boxes of the largest form on a page, in reading order; empty where there is no form.

    A box is a hole in the printed lines. Boxes that are not found, because a digit crosses their lines, are placed by
    their neighbours: a surface of second degree through those that are found.

    Args:
        ink: float32 H×W, as `segmentation.page_ink` returns it.
    """
    places = group_of_boxes(hollows(ink))
    if len(places) < FEWEST:
        return []
    keys = np.array(list(places))
    keys -= keys.min(0)
    boxes = np.array(list(places.values()), float)
    rows, columns = keys.max(0) + 1
    if not FEWEST <= rows * columns <= MOST or len(places) < 0.5 * rows * columns:
        return []
    every = np.array([(r, c) for r in range(rows) for c in range(columns)])
    placed = terms(every) @ np.linalg.lstsq(terms(keys), boxes, rcond=None)[0]
    found = {tuple(key): box for key, box in zip(keys.tolist(), boxes, strict=True)}
    whole = [found.get(tuple(key), box) for key, box in zip(every.tolist(), placed, strict=True)]
    return [cell_at(ink, int(r), int(c), box) for (r, c), box in zip(every, whole, strict=True)]


def terms(keys: np.ndarray) -> np.ndarray:
    """Return the terms of a surface of second degree over rows and columns, as far as there are enough of both."""
    r, c = keys.T.astype(float)
    return np.stack([np.ones(len(r)), r, c, r * c, r * r, c * c], 1)


def hollows(ink: np.ndarray) -> np.ndarray:
    """Return the boxes x, y, width and height of holes in the ink that are nearly rectangles, int N×4."""
    import cv2

    lines = cv2.dilate((ink > FAINT).astype(np.uint8), np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(lines, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour, (_, _, _, parent) in zip(contours, tree[0] if tree is not None else (), strict=True):
        x, y, w, h = cv2.boundingRect(contour)
        if parent >= 0 and min(w, h) >= 10 and SQUARE[0] <= w / h <= SQUARE[1]:
            (_, (a, b), _) = cv2.minAreaRect(contour)
            if cv2.contourArea(cv2.convexHull(contour)) >= FILLED * a * b:
                found.append((x, y, w, h, cv2.contourArea(cv2.convexHull(contour))))
    if not found:
        return np.empty((0, 4), int)
    boxes = np.array(found)
    usual = np.median(np.sort(boxes[:, 4])[len(boxes) // 3 :])
    return boxes[(boxes[:, 4] >= ALIKE[0] * usual) & (boxes[:, 4] <= ALIKE[1] * usual), :4].astype(int)


def group_of_boxes(boxes: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Return the largest group of neighbouring boxes by row and column, counted from any of them."""
    left = set(range(len(boxes)))
    best: dict[tuple[int, int], np.ndarray] = {}
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    while left:
        first = left.pop()
        places, queue = {(0, 0): first}, [((0, 0), first)]
        while queue:
            (row, column), at = queue.pop()
            for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                key = (row + down, column + right)
                expected = middles[at] + boxes[at, 2:] * (right, down) * 1.07
                near = [i for i in left if (np.abs(middles[i] - expected) <= 0.35 * boxes[at, 2:]).all()]
                if near and key not in places:
                    left.remove(near[0])
                    places[key] = near[0]
                    queue.append((key, near[0]))
        if len(places) > len(best):
            best = {key: boxes[i] for key, i in places.items()}
    return best


def cell_at(ink: np.ndarray, row: int, column: int, box: np.ndarray) -> Cell:
    """Return a box with its writing: the pieces inside it that are high enough and reach into its middle."""
    x, y, w, h = box
    left, top = max(0, round(x + INSET * w)), max(0, round(y + INSET * h))
    right, bottom = round(x + (1 - INSET) * w), round(y + (1 - INSET) * h)
    inside = ink[top:bottom, left:right]
    place = (round(x), round(y), round(x + w), round(y + h))
    pieces = find_pieces(inside) if min(inside.shape, default=0) > 4 else []
    main = [p for p in pieces if p.height >= HIGH * h and abs(p.middle[0] - inside.shape[1] / 2) <= 0.4 * w]
    if not main:
        return Cell(row, column, place, None)
    near = join(main)
    parts = [p for p in pieces if overlaps(p, near, 0.1 * h)]
    whole = join([*main, *parts])
    moved = Piece(whole.left + left, whole.top + top, whole.right + left, whole.bottom + top, whole.ink)
    return Cell(row, column, place, moved)


def overlaps(piece: Piece, other: Piece, margin: float) -> bool:
    """Return whether a piece lies within another's box, or that near to it."""
    return (
        piece.left >= other.left - margin
        and piece.right <= other.right + margin
        and piece.top >= other.top - margin
        and piece.bottom <= other.bottom + margin
    )


def turned(cells: Sequence[Cell], turns: int) -> list[Cell]:
    """Return the boxes of a page that lies on its side, in the order of one turned upright counterclockwise."""
    rows, columns = max(c.row for c in cells) + 1, max(c.column for c in cells) + 1
    order = list(cells)
    for _ in range(turns):
        order = [Cell(columns - 1 - c.column, c.row, c.box, rotated(c.piece)) for c in order]
        rows, columns = columns, rows
    return sorted(order, key=lambda c: (c.row, c.column))


def rotated(piece: Piece | None) -> Piece | None:
    """Return a piece with its ink turned counterclockwise; its box stays that of the page."""
    return piece and Piece(piece.left, piece.top, piece.right, piece.bottom, np.ascontiguousarray(np.rot90(piece.ink)))
