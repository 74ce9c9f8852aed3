"""Ink lifted off its paper, in photographs and scans of any size: uneven light, shadows, tables and specks left out."""

from __future__ import annotations

import numpy as np
from PIL import Image

LEAST_CONTRAST = 24
DIM = 64
COARSE = 80
OWN_EDGES = 10
WIDEST = 0.3  # of the shorter side: no stroke is wider
SPECK = 0.03
SOFT = 2  # pixels from a stroke to the end of its soft edge
STRONGEST = 20  # this pixel from the top counts as full ink: a few may be noise
SMALLEST = 12


def subtract_background(grey: np.ndarray) -> np.ndarray:
    """How much each pixel of uint8 H×W differs from the paper, in the ink's direction: float32 H×W, above 0 for ink.

    The paper of dark ink is what a closing leaves, through whose square no stroke reaches; that of bright ink, what an
    opening leaves (bottom-hat and top-hat transform, Serra 1982): so light from one side, a lens's dim corners, a
    hand's shadow and the table beyond the sheet are paper. Of the two the smoother one is right: the other still holds
    the strokes, as blocks. Dark ink counts as the share of the paper's light that it takes, in a shadow as beside.
    """
    coarse = np.asarray(Image.fromarray(grey).reduce(2 if min(grey.shape) > COARSE else 1))
    if roughness(closing(coarse), coarse) <= roughness(opening(coarse), coarse):
        paper = closing(grey).astype(np.float32)
        return (paper - grey) * (255 / np.maximum(paper, DIM))
    return (grey - opening(grey)).astype(np.float32)


def closing(grey: np.ndarray) -> np.ndarray:
    """Without what is darker and narrower than the widest stroke, as if the outermost pixels went on for ever."""
    return morphology(np.maximum, np.minimum, grey)


def opening(grey: np.ndarray) -> np.ndarray:
    """Without what is brighter and narrower than the widest stroke."""
    return morphology(np.minimum, np.maximum, grey)


def morphology(first: np.ufunc, then: np.ufunc, grey: np.ndarray) -> np.ndarray:
    """Both extremes of squares as wide as the widest stroke, H×W of the same type."""
    reach = max(1, round(min(grey.shape) * WIDEST / 2))
    return sliding_extreme(then, sliding_extreme(first, np.pad(grey, 2 * reach, mode="edge"), reach), reach)


def sliding_extreme(extreme: np.ufunc, pixels: np.ndarray, reach: int) -> np.ndarray:
    """The extreme of each square of 2 × `reach` + 1 pixels a side, where it fits: H×W less twice the reach.

    By spans that double, one array at a time: ten times as fast as a filter that goes pixel by pixel.
    """
    for _ in range(2):
        span = 1
        while span <= 2 * reach:
            step = min(span, 2 * reach + 1 - span)
            pixels = extreme(pixels[step:], pixels[:-step])
            span += step
        pixels = pixels.T
    return pixels


def roughness(paper: np.ndarray, grey: np.ndarray) -> float:
    """The sum of all squared steps between neighbours in the paper; what they exceed the picture's own counts tenfold.

    A wrong paper has edges of its own, where the square did not fit between the strokes.
    """
    total = 0.0
    for axis in (0, 1):
        ours, theirs = (np.square(np.diff(each.astype(np.float32), axis=axis)) for each in (paper, grey))
        total += float((ours + OWN_EDGES * np.clip(ours - theirs, 0, None)).sum(dtype=np.float64))
    return total


def isolate_digit(raised: np.ndarray) -> np.ndarray:
    """What is raised above most of the picture and belongs to the digit, stretched to 0…255; all 0 if nothing does."""
    ranked = np.sort(raised, axis=None)
    paper, strongest = ranked[raised.size // 2], ranked[-STRONGEST if raised.size > 1000 else -1]
    if strongest - paper < LEAST_CONTRAST:
        return np.zeros_like(raised)
    stretched = np.clip((raised - paper) * (255 / (strongest - paper)), 0, 255)
    stretched[stretched < 64] = 0
    return stretched * digit_mask(stretched > 100)


def digit_mask(mask: np.ndarray) -> np.ndarray:
    """Where the digit is, bool H×W with its soft edges: without specks, and without what comes in from the border.

    Pieces at the border are left out only when what remains could be the digit: a twelfth of the picture or more.
    """
    from scipy import ndimage  # a quarter of a second, for pictures that need it

    near = surroundings(mask, SOFT)
    pieces, count = ndimage.label(mask[near], np.ones((3, 3)), output=np.intp)
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    inside = np.ones(max(count, 1), bool)
    inside[border(pieces)[border(pieces) > 0] - 1] = False
    for candidates in (inside, np.ones_like(inside)):
        kept = candidates & (sizes >= SPECK * max(sizes[candidates].max(initial=0), 1))
        digit = np.append(False, kept)[pieces]
        if kept.any() and extent(digit) >= min(mask.shape) / SMALLEST:
            break
    whole = np.zeros_like(mask)
    whole[near] = sliding_extreme(np.logical_or, np.pad(digit, SOFT), SOFT)
    return whole


def surroundings(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Where something is set, and `margin` pixels more: the border of that is empty, or the picture's own."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )


def extent(mask: np.ndarray) -> int:
    """The longer side of what is set."""
    return max((int(np.ptp(np.flatnonzero(mask.any(axis)))) + 1 for axis in (0, 1) if mask.any()), default=0)


def border(grey: np.ndarray) -> np.ndarray:
    """The outermost pixels, in one row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
