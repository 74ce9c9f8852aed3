"""Find the glyphs of a page: its ink, the pieces of it, the lines of writing, and where touching digits may be cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PAPER = 0.12  # of the page: wider dark areas are paper, a table or a picture
WEAK, STRONG = 0.25, 0.5  # of full ink: a glyph's pixels, and one of them at least
NOISE = 5  # standard deviations of the paper
LEAST = 16  # ink of 255 that can be told from paper
NEAR = 4.0  # of the glyphs' height: wider gaps end a line of writing, unless it goes on at the same level
LEVEL = 0.55  # of the glyphs' height: so far apart lie the middles of neighbours at most
SIDEWAYS = 0.1  # cost of a step aside; of ink crossed, 1 a pixel
STEP = 0.2  # of the glyphs' height, between seams


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of ink.

    Attributes:
        left, top, right, bottom: its box in the page's pixels; right and bottom lie behind it.
        ink: float32 height×width, 0 where the ink is another's.
    """

    left: int
    top: int
    right: int
    bottom: int
    ink: np.ndarray

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def middle(self) -> tuple[float, float]:
        """Return the middle of its box, (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def page_ink(grey: np.ndarray) -> np.ndarray:
    """Return the ink of a page, whatever its light: float32 H×W, 0 for paper, about 255 for full ink.

    The paper behind dark ink is a closing wider than strokes, blurred; ink is the share of the paper's light that it
    absorbs. Ink is bright where brighter pixels stand out from their surroundings more than darker ones.
    """
    import cv2

    wide = window(grey)
    small = shrunk(grey)
    around = cv2.medianBlur(small, min(wide // (grey.shape[1] // small.shape[1]), 99) | 1).astype(np.float32) - small
    dark = np.square(around.clip(0)).sum() >= np.square(around.clip(None, 0)).sum()
    ink = raised(grey if dark else 255 - grey)
    noise = float(np.median(np.abs(ink - np.median(ink)))) * 1.5
    inked = ink[ink > max(LEAST, NOISE * noise)]
    if inked.size < 20:
        return np.zeros_like(ink)
    full = float(np.percentile(inked, 80))
    ink = np.maximum((ink - noise) * (255 / max(full - noise, 1)), 0)
    ink[ink < max(LEAST, NOISE * noise) * 255 / full / 2] = 0
    return ink


def raised(grey: np.ndarray) -> np.ndarray:
    """Return the share of the paper's light that each pixel absorbs, in 0…255."""
    import cv2

    small = shrunk(grey)
    reach = window(grey) // (grey.shape[1] // small.shape[1]) | 1
    paper = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    paper = cv2.GaussianBlur(paper, (0, 0), reach / 4)
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return np.clip((paper - grey) * (255 / np.maximum(paper, 64)), 0, None)


def window(grey: np.ndarray) -> int:
    """Return the side, in pixels, of a square that is wider than a stroke and not filled by writing."""
    return round(PAPER * (grey.size**0.5) + 15)


def shrunk(grey: np.ndarray) -> np.ndarray:
    """Return the page at a size at which its paper is cheap to find."""
    import cv2

    scale = max(1, min(grey.shape) // 300)
    return cv2.resize(grey, (grey.shape[1] // scale, grey.shape[0] // scale), interpolation=cv2.INTER_AREA)


def find_pieces(ink: np.ndarray) -> list[Piece]:
    """Return the connected pieces of a page's ink, without specks. Weak pixels count where they touch strong ones."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((ink > WEAK * 255).astype(np.uint8), connectivity=8)
    strong = np.zeros(count, bool)
    strong[np.unique(labels[ink > STRONG * 255])] = True
    pieces = []
    for index in np.flatnonzero(strong[1:]) + 1:
        left, top, wide, high, area = (int(each) for each in stats[index])
        if area >= 4:
            window = np.s_[top : top + high, left : left + wide]
            pieces.append(Piece(left, top, left + wide, top + high, np.where(labels[window] == index, ink[window], 0)))
    return pieces


def typical_height(pieces: Sequence[Piece]) -> float:
    """Return the height of most ink: the median over pieces, weighted by their squared height; 0 without pieces."""
    if not pieces:
        return 0.0
    heights = np.sort([piece.height for piece in pieces]).astype(np.float64)
    return float(heights[np.searchsorted(np.cumsum(heights**2), (heights**2).sum() / 2)])


def find_lines_of_writing(pieces: Sequence[Piece], height: float) -> list[list[Piece]]:
    """Group large pieces to lines of writing, from top to bottom, each from left to right.

    Each piece joins the nearest one to its right at about its level; so lines may slant and curl. Lines at one level
    with a wide gap between them are one.
    """
    order = sorted(pieces, key=lambda piece: piece.left)
    following: dict[int, int] = {}
    for i, piece in enumerate(order):
        nearest = min(
            ((distance(piece, other, height), j) for j, other in enumerate(order[i + 1 :], i + 1)), default=(np.inf, 0)
        )
        if nearest[0] < np.inf and nearest[1] not in following.values():
            following[i] = nearest[1]
    lines = []
    for start in sorted(set(range(len(order))) - set(following.values())):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        lines.append([order[i] for i in chain])
    return sorted(join_level(lines, height), key=lambda line: float(np.mean([piece.middle[1] for piece in line])))


def distance(piece: Piece, other: Piece, height: float) -> float:
    """Return how far another piece lies to the right, and infinity where it is not the next one of the line."""
    across, down = other.middle[0] - piece.middle[0], abs(other.middle[1] - piece.middle[1])
    gap = other.left - piece.right
    if across <= 0.1 * height or gap > NEAR * height or down > LEVEL * height + 0.15 * max(gap, 0):
        return float("inf")
    return across + 2 * down


def join_level(lines: list[list[Piece]], height: float) -> list[list[Piece]]:
    """Join lines whose ends lie at one level, the left one's slope continued over the gap."""
    lines = sorted(lines, key=lambda line: line[0].left)
    joined: list[list[Piece]] = []
    for line in lines:
        candidates = [other for other in joined if other[-1].middle[0] < line[0].left]
        ends = [(abs(level_at(other, line[0].middle[0]) - line[0].middle[1]), other) for other in candidates]
        apart, best = min(ends, key=lambda end: end[0], default=(np.inf, line))
        if apart <= LEVEL * height:
            best.extend(line)
        else:
            joined.append(list(line))
    return joined


def level_at(line: Sequence[Piece], x: float) -> float:
    """Return the row at which a line of writing would go on in a column."""
    xs, ys = np.array([piece.middle for piece in line[-6:]]).T
    if len(xs) < 3 or np.ptp(xs) < 1:
        return float(ys.mean())
    slope = np.clip(np.polyfit(xs, ys, 1)[0], -0.2, 0.2)
    return float(ys.mean() + slope * (x - xs.mean()))


def cut(piece: Piece, height: float) -> list[Piece]:
    """Cut a piece where it may be touching digits, along seams from top to bottom; 1 or more pieces.

    A seam is found near every fifth of a digit's height. It crosses the least ink, as in seam carving (Avidan and
    Shamir 2007, https://doi.org/10.1145/1276377.1276390).
    """
    step = max(2, round(STEP * height))
    centers = np.arange(step, piece.width - step // 2, step)
    if not len(centers):
        return [piece]
    reach = step
    windows = np.pad(piece.ink, ((0, 0), (reach, reach)), constant_values=255)[
        :, centers[:, None] + np.arange(2 * reach + 1)
    ]
    cost, steps = windows[0] / 255, []
    for row in windows[1:] / 255:
        left = np.pad(cost[:, :-1] + SIDEWAYS, ((0, 0), (1, 0)), constant_values=np.inf)
        right = np.pad(cost[:, 1:] + SIDEWAYS, ((0, 0), (0, 1)), constant_values=np.inf)
        beside = np.stack([left, cost, right])
        steps.append(beside.argmin(0) - 1)
        cost = beside.min(0) + row
    at = cost.argmin(1)
    seams = [at]
    for moves in reversed(steps):
        at = at + moves[np.arange(len(at)), at]
        seams.append(at)
    bounds = np.maximum.accumulate(np.array(seams[::-1]) + centers - reach, axis=1).clip(0, piece.width)
    edges = [np.zeros(len(bounds), int), *bounds.T, np.full(len(bounds), piece.width)]
    return [one for low, high in pairwise(edges) if (one := part(piece, low, high)) is not None]


def part(piece: Piece, low: np.ndarray, high: np.ndarray) -> Piece | None:
    """Return what lies between two seams, columns of each row; None without ink."""
    columns = np.arange(piece.width)
    ink = np.where((columns >= low[:, None]) & (columns < high[:, None]), piece.ink, 0)
    return crop(ink, piece.left, piece.top)


def crop(ink: np.ndarray, left: int, top: int) -> Piece | None:
    """Return the ink as a piece with the smallest box; `left` and `top` are the place of its first pixel."""
    rows, columns = np.flatnonzero(ink.max(1) > 0), np.flatnonzero(ink.max(0) > 0)
    if not len(rows):
        return None
    y, x, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    return Piece(left + x, top + y, left + right, top + bottom, ink[y:bottom, x:right])


def join(pieces: Sequence[Piece]) -> Piece:
    """Return several pieces as one."""
    left, top = min(p.left for p in pieces), min(p.top for p in pieces)
    right, bottom = max(p.right for p in pieces), max(p.bottom for p in pieces)
    ink = np.zeros((bottom - top, right - left), np.float32)
    for p in pieces:
        view = ink[p.top - top : p.bottom - top, p.left - left : p.right - left]
        np.maximum(view, p.ink, out=view)
    return Piece(left, top, right, bottom, ink)
