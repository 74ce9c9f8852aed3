"""Give strokes MNIST's width before a picture is shrunk: thin lines would fade away, thick ones run together."""

from __future__ import annotations

import numpy as np

SIDE = 200  # pixels of the digit's longer side that widths are changed at
THINNEST, THICKEST = 0.105, 0.19  # of the digit's longer side; MNIST's strokes measure 0.135
NARROW = 0.35  # width to height: below it, and with two strokes side by side, a drawing is widened
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
    scale = SIDE / max(box.shape)
    if scale > 1:
        box = np.pad(box, 1)
        size = [max(1, round(length * scale)) for length in box.shape[::-1]]
        box = cv2.resize(box, size, interpolation=cv2.INTER_CUBIC)
    side = max(box.shape)
    mask = np.pad((box > INK).astype(np.uint8), side // 4)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))  # dithered ink has holes
    if not mask.any():
        return np.asarray(ink, np.float32)
    width = stroke_width(mask)
    change = max(THINNEST * side - width, 0) + min(THICKEST * side - width, 0)
    if abs(change) < 0.01 * side:
        return np.asarray(ink, np.float32)
    if change > 0:
        away = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
        return np.clip(change / 2 + 1 - away, 0, 1) * np.float32(255)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    return np.clip(inside + change / 2, 0, 1) * np.float32(255)


def stroke_width(mask: np.ndarray) -> float:
    """Return the width of the strokes in a mask, uint8 H×W of 0 and 1, in pixels.

    In a stroke of width w, the mean distance to the nearest paper is w / 4.
    """
    import cv2

    return float(4 * (cv2.distanceTransform(mask, cv2.DIST_L2, 5)[mask > 0].mean() - 0.5))
