"""Ink → the 28×28 picture that MNIST's makers would have made of it."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIZE = 28
BOX = 20


def frame(image: np.ndarray) -> np.ndarray:
    """Frame a picture of one digit as MNIST's makers did.

    The ink's bounding box, widened to a square, is area-averaged into 20×20 and put into 28×28 so
    that its barycentre lies in the middle (facebookresearch/qmnist, `making_qmnist/xnist.lsh`).

    `image`: H×W, uint8 or float in 0…255, ink bright on 0. Returns uint8 28×28; without ink, all 0.
    Raises ValueError for another shape or values that are not finite.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError(f"expected finite H×W pixels, found shape {pixels.shape}")
    rows, columns = np.flatnonzero(pixels.max(1) > 0), np.flatnonzero(pixels.max(0) > 0)
    framed = np.zeros((SIZE, SIZE), np.uint8)
    if not len(rows):
        return framed
    square = to_square(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    small = np.asarray(Image.fromarray(square).resize((BOX, BOX), Image.Resampling.BOX))
    small = np.clip(np.rint(small), 0, 255)
    if not small.any():
        return framed
    top, left = (int(SIZE / 2 + 1 - b) for b in barycentre(small))
    put(framed, small.astype(np.uint8), top, left)
    return framed


def to_square(ink: np.ndarray) -> np.ndarray:
    """The ink in the middle of a square of side max(h, w), float32."""
    side = max(ink.shape)
    square = np.zeros((side, side), np.float32)
    top, left = (side - ink.shape[0]) // 2, (side - ink.shape[1]) // 2
    square[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return square


def barycentre(ink: np.ndarray) -> tuple[float, float]:
    """(row, column) of the intensity's centre, a pixel's own centre lying at +0.5."""
    total = ink.sum(dtype=np.float64)
    row = (ink.sum(1, dtype=np.float64) @ (np.arange(ink.shape[0]) + 0.5)) / total
    column = (ink.sum(0, dtype=np.float64) @ (np.arange(ink.shape[1]) + 0.5)) / total
    return float(row), float(column)


def put(canvas: np.ndarray, small: np.ndarray, top: int, left: int) -> None:
    """Write `small` into `canvas` in place, what falls outside cut off."""
    low, right = min(top + BOX, SIZE), min(left + BOX, SIZE)
    first, start = max(top, 0), max(left, 0)
    canvas[first:low, start:right] = small[first - top : low - top, start - left : right - left]
