"""Frame a whole batch of 28×28 pictures at once, with the result of `framing.frame`."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnistlib.imaging.framing import BOX, SIZE


def reframe(images: np.ndarray) -> np.ndarray:
    """Move and scale the ink of each picture as MNIST's makers framed theirs.

    Args:
        images: uint8 N×28×28, ink bright on 0.

    Returns:
        uint8 N×28×28, for each picture what `framing.frame` returns; all 0 without ink.
    """
    ink = images.astype(np.float32)
    first_row, height = span(ink.max(axis=2))
    first_column, width = span(ink.max(axis=1))
    side = np.maximum(height, width)
    rows = box_filters(side, first_row - (side - height) // 2)
    columns = box_filters(side, first_column - (side - width) // 2)
    return center_batch(np.rint(rows @ ink @ columns.transpose(0, 2, 1)))


def span(profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each profile N×28 first exceeds 0, and the length up to the last such place; 0 and 0 if never."""
    inked = profiles > 0
    first, after = inked.argmax(axis=1), SIZE - inked[:, ::-1].argmax(axis=1)
    return first, np.where(inked.any(axis=1), after - first, 0)


def box_filters(side: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return matrices float32 N×20×28 that average the `side` pixels from `first` on into 20, with Pillow's weights.

    The weights are what Pillow's box filter makes of unit vectors.
    """
    weights = np.zeros((SIZE + 1, BOX, 3 * SIZE), np.float32)
    for size in range(1, SIZE + 1):
        unit = Image.fromarray(np.eye(size, dtype=np.float32))
        weights[size, :, SIZE : SIZE + size] = np.asarray(unit.resize((size, BOX), Image.Resampling.BOX))
    places = SIZE + np.arange(SIZE) - first[:, None]
    return weights[side[:, None, None], np.arange(BOX)[:, None], places[:, None, :]]


def center_batch(small: np.ndarray) -> np.ndarray:
    """Place pictures N×20×20 in 28×28 with the barycentre of each in the middle, as `framing.centre` does."""
    total = np.maximum(small.sum(axis=(1, 2), dtype=np.float64), 1)
    middles = np.arange(BOX) + 0.5
    top = (SIZE / 2 + 1 - small.sum(axis=2, dtype=np.float64) @ middles / total).astype(int)
    left = (SIZE / 2 + 1 - small.sum(axis=1, dtype=np.float64) @ middles / total).astype(int)
    rows, columns = (np.arange(SIZE) - start[:, None] for start in (top, left))
    inside = ((rows >= 0) & (rows < BOX))[:, :, None] & ((columns >= 0) & (columns < BOX))[:, None, :]
    rows, columns = rows.clip(0, BOX - 1)[:, :, None], columns.clip(0, BOX - 1)[:, None, :]
    return (small[np.arange(len(small))[:, None, None], rows, columns] * inside).astype(np.uint8)
