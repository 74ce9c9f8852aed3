"""Give strokes MNIST's width before a picture is shrunk: thin lines would fade away, thick ones run together."""

from __future__ import annotations

import numpy as np

SIDE = 200  # pixels of the digit's longer side that widths are changed at
THINNEST, THICKEST = 0.105, 0.19  # of the digit's longer side; MNIST's strokes measure 0.135
NARROW, WIDENED = 0.3, 0.5  # width to height: a narrower 8, 9 or 0 is widened, lest it look like a 1
SIDE_BY_SIDE = 0.3  # of the rows: a long upstroke beside a 1's stem fills fewer
INK = 110  # of 255: half covered pixels are ink


def normalize_stroke_width(ink: np.ndarray) -> np.ndarray:
    """Widen strokes thinner, and thin strokes thicker, than those of MNIST's digits.

    Args:
        ink: H×W, uint8 or float in 0…255, ink bright on 0.

    Returns:
        float32 of the same form, unchanged where the width is usual; else larger, with the ink alone.
    """
    import cv2

    rows, columns = np.flatnonzero(ink.max(1) > 0), np.flatnonzero(ink.max(0) > 0)
    if not len(rows):
        return np.asarray(ink, np.float32)
    box = np.asarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)
    scale = max(SIDE / max(box.shape), 1.0)
    wide = WIDENED * box.shape[0] / box.shape[1] if is_squeezed(box > INK) else 1.0
    if scale * wide > 1:
        box = np.pad(box, 1)
        size = [
            max(1, round(length * factor))
            for length, factor in zip(box.shape[::-1], (scale * wide, scale), strict=True)
        ]
        box = np.asarray(cv2.resize(box, size, interpolation=cv2.INTER_CUBIC))
    side = max(box.shape)
    mask = np.pad((box > INK).astype(np.uint8), side // 4)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))  # dithered ink has holes
    if not mask.any():
        return np.asarray(ink, np.float32)
    width = stroke_width(mask)
    change = max(THINNEST * side - width, 0) + min(THICKEST * side - width, 0)
    if abs(change) < 0.01 * side and wide == 1:
        return np.asarray(ink, np.float32)
    if change > 0:
        away = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
        return np.clip(change / 2 + 1 - away, 0, 1) * np.float32(255)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    return np.clip(inside + change / 2, 0, 1) * np.float32(255)


def is_squeezed(mask: np.ndarray) -> bool:
    """Return whether a very narrow drawing has two strokes side by side in many rows, as no 1 has."""
    strokes = (np.diff(np.pad(mask, ((0, 0), (1, 0))).astype(np.int8), axis=1) == 1).sum(1)
    return mask.shape[1] < NARROW * mask.shape[0] and bool((strokes >= 2).mean() >= SIDE_BY_SIDE)


def stroke_width(mask: np.ndarray) -> float:
    """Return the width of the strokes in a mask, uint8 H×W of 0 and 1, in pixels.

    In a stroke of width w, the mean distance to the nearest paper is w / 4.
    """
    import cv2

    return float(4 * (cv2.distanceTransform(mask, cv2.DIST_L2, 5)[mask > 0].mean() - 0.5))
