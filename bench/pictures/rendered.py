"""Render pen drawings as the pictures that people make: every pen, canvas, crop, paper and camera a named condition."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from bench.accuracy.pendigits import Drawing
from bench.pictures.papers import PAPERS

Rng = np.random.Generator
Render = Callable[[Rng, Drawing], np.ndarray]

PENS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25)  # of the digit's longer side
USUAL = (0.02, 0.12)
CANVASES = (20, 28, 40, 64, 100, 280, 1000, 4000)
SHIFT = 4  # binary places of a coordinate in cv2


def ink(
    rng: Rng, drawing: Drawing, side: int = 280, pen: float = 0, fill: float = 0.7, hard: bool = False
) -> np.ndarray:
    """Draw the strokes on a square canvas, a little off its middle.

    Args:
        side: of the canvas, in pixels.
        pen: its width as a share of the digit's longer side, and never under a pixel; 0 draws a usual one.
        fill: the digit's longer side as a share of the canvas.
        hard: without anti-aliasing.

    Returns:
        Coverage, float32 side×side in 0…1.
    """
    fineness = 1 if hard or side > 500 else 4 if side > 100 else 8
    points = np.concatenate(drawing.strokes)
    low, extent = points.min(0), np.ptp(points, axis=0)
    longer = side * fill * fineness
    width = max(fineness, round((pen or rng.uniform(*USUAL)) * longer))
    scale = (longer - width) / max(1.0, extent.max())
    slack = side * fineness - width - extent * scale
    corner = slack * (0.5 + rng.uniform(-0.3, 0.3, 2)) + width / 2
    canvas = np.zeros((side * fineness, side * fineness), np.uint8)
    for stroke in drawing.strokes:
        path = np.rint(((stroke - low) * scale + corner) * 2**SHIFT).astype(np.int32)
        line = cv2.LINE_8 if hard or fineness > 1 else cv2.LINE_AA
        cv2.polylines(canvas, [np.repeat(path, 2, axis=0)], False, 255, width, line, SHIFT)
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def plain(rng: Rng, drawing: Drawing, **how: float) -> np.ndarray:
    """Black on white."""
    return negative(ink(rng, drawing, **how))


def negative(coverage: np.ndarray) -> np.ndarray:
    return np.rint(255 - 255 * coverage).astype(np.uint8)


def light(rng: Rng, drawing: Drawing) -> np.ndarray:
    """White on black."""
    return 255 - plain(rng, drawing)


def tight(rng: Rng, drawing: Drawing, margin: int, side: int = 280, pen: float = 0) -> np.ndarray:
    """Cut to the ink's box and a margin in pixels, black on white or white on black."""
    found = ink(rng, drawing, side, pen, fill=0.8)
    x, y, w, h = cv2.boundingRect((found > 0.1).astype(np.uint8))
    cut = np.pad(found[y : y + h, x : x + w], margin)
    return negative(cut if rng.random() < 0.5 else 1 - cut)


def stretched(rng: Rng, drawing: Drawing, margin: int, side: int = 28) -> np.ndarray:
    """Cut to the ink's box and a margin, and stretch to a square; a 1 stays narrow, because it would be a blot."""
    cut = tight(rng, drawing, margin, pen=rng.uniform(0.06, 0.14))
    height, width = cut.shape
    narrow = width < 0.35 * height
    size = (max(1, round(side * width / height)), side) if narrow else (side, side)
    return cv2.resize(cut, size, interpolation=cv2.INTER_AREA)


def at_edge(rng: Rng, drawing: Drawing, beyond: float) -> np.ndarray:
    """Cut at one side so that the digit touches the picture's edge, or `beyond` (a share of its side) lies outside."""
    found = ink(rng, drawing, fill=0.6)
    x, y, w, h = cv2.boundingRect((found > 0.5).astype(np.uint8))
    dx, dy = round(beyond * w), round(beyond * h)
    top, left, low, right = (
        (y + dy, None, None, None),
        (None, x + dx, None, None),
        (None, None, y + h - dy, None),
        (None, None, None, x + w - dx),
    )[rng.integers(4)]
    return negative(found[top:low, left:right])


def neighbours(rng: Rng, drawing: Drawing) -> np.ndarray:
    """Cut from a line of writing: parts of other digits stand at the left and right edges."""
    pen = rng.uniform(0.05, 0.1)
    found = ink(rng, drawing, 280, pen, fill=0.75)
    x, _, w, _ = cv2.boundingRect((found > 0.1).astype(np.uint8))
    gap, seen = round(rng.uniform(0.1, 0.2) * 210), round(rng.uniform(0.06, 0.14) * 210)
    row = np.zeros((280, w + 2 * gap + 2 * seen), np.float32)
    row[:, gap + seen : gap + seen + w] = found[:, x : x + w]
    for place in rng.choice(2, rng.integers(1, 3), replace=False):
        piece = np.zeros((280, 2 * seen), np.uint8)
        middle = (0, 140 + int(rng.integers(-30, 30)))
        cv2.ellipse(piece, middle, (seen - 12, 90), 0, -90, 90, 255, round(pen * 210), cv2.LINE_AA)
        side = piece[:, :seen].astype(np.float32) / 255
        row[:, -seen:] = side[:, ::-1] if place else row[:, -seen:]
        row[:, :seen] = row[:, :seen] if place else side
    return negative(row)


def broken(rng: Rng, drawing: Drawing) -> np.ndarray:
    """Draw with a pen that fails for short pieces of its way."""
    found = ink(rng, drawing, pen=rng.uniform(0.03, 0.08))
    noise = cv2.resize(rng.random((70, 70), np.float32), (280, 280), interpolation=cv2.INTER_CUBIC)
    return negative(found * (noise < 0.82))


def on(rng: Rng, drawing: Drawing, paper: str) -> np.ndarray:
    """Draw on one of the papers of `papers.py`."""
    return PAPERS[paper](rng, partial(ink, rng, drawing))


CONDITIONS: dict[str, Render] = {
    **{
        f"pen {100 * pen:g} %, {'hard' if hard else 'soft'}": partial(plain, pen=pen, hard=hard)
        for pen in PENS
        for hard in (True, False)
    },
    **{f"canvas {side}": partial(plain, side=side, fill=0.8) for side in CANVASES},
    "canvas 28, hard": partial(plain, side=28, fill=0.8, hard=True),
    "canvas 64, hard": partial(plain, side=64, fill=0.8, hard=True),
    "small on a sheet": partial(plain, side=1000, fill=0.12, pen=0.05),
    "white on black": light,
    "tight, 0 px": partial(tight, margin=0),
    "tight, 1 px": partial(tight, margin=1),
    "tight 40, 0 px": partial(tight, margin=0, side=40),
    "tight 40, 1 px": partial(tight, margin=1, side=40),
    "stretched 28, 0 px": partial(stretched, margin=0),
    "stretched 28, 10 px": partial(stretched, margin=10),
    "touching an edge": partial(at_edge, beyond=0.0),
    "crossing an edge": partial(at_edge, beyond=0.04),
    "neighbours": neighbours,
    "broken ink": broken,
    **{paper: partial(on, paper=paper) for paper in PAPERS},
}
