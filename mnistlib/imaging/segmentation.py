"""Find the glyphs of a page: its ink, the pieces of ink, the lines of writing, and where touching digits may be cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAPER = 0.12  # of the page: wider dark areas are paper, a table or a picture
WEAK, STRONG = 0.25, 0.5  # of full ink: a glyph's pixels, and one of them at least
NOISE = 5  # standard deviations of the paper
LEAST = 16  # ink of 255 that can be told from paper
SMALL = 0.4  # of the glyphs' height: a smaller piece is part of a digit, a dash or a speck


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
