"""Frame many pictures anew, as a person's would be: what `ink.frame` does, for a whole batch at once."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnistlib.imaging.framing import BOX, SIZE


def reframe(images: np.ndarray) -> np.ndarray:
    """The ink of each picture, uint8 N×28×28, at MNIST's place and size: uint8 N×28×28.

    The result for each is that of `ink.frame`. Without ink, all 0.
    """
    ink = images.astype(np.float32)
    first_row, height = span(ink.max(axis=2))
    first_column, width = span(ink.max(axis=1))
    side = np.maximum(height, width)
    rows = box_filters(side, first_row - (side - height) // 2)
    columns = box_filters(side, first_column - (side - width) // 2)
    return center_batch(np.rint(rows @ ink @ columns.transpose(0, 2, 1)))


def span(profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each profile N×28 first exceeds 0, and how many places from there to the last; 0 and 0 if never."""
    inked = profiles > 0
    first, after = inked.argmax(axis=1), SIZE - inked[:, ::-1].argmax(axis=1)
    return first, np.where(inked.any(axis=1), after - first, 0)


def box_filters(side: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Matrices N×20×28 that average the `side` pixels from `first` on into 20, as Pillow does; float32.

    The weights are Pillow's own: what it makes of the unit vectors.
    """
    weights = np.zeros((SIZE + 1, BOX, 3 * SIZE), np.float32)
    for size in range(1, SIZE + 1):
        unit = Image.fromarray(np.eye(size, dtype=np.float32))
        weights[size, :, SIZE : SIZE + size] = np.asarray(unit.resize((size, BOX), Image.Resampling.BOX))
    places = SIZE + np.arange(SIZE) - first[:, None]
    return weights[side[:, None, None], np.arange(BOX)[:, None], places[:, None, :]]


def center_batch(small: np.ndarray) -> np.ndarray:
    """20×20 pictures N×20×20 put into 28×28 so that each one's barycentre lies in the middle, as `ink.centre` does."""
    total = np.maximum(small.sum(axis=(1, 2), dtype=np.float64), 1)
    middles = np.arange(BOX) + 0.5
    top = (SIZE / 2 + 1 - small.sum(axis=2, dtype=np.float64) @ middles / total).astype(int)
    left = (SIZE / 2 + 1 - small.sum(axis=1, dtype=np.float64) @ middles / total).astype(int)
    rows, columns = (np.arange(SIZE) - start[:, None] for start in (top, left))
    inside = ((rows >= 0) & (rows < BOX))[:, :, None] & ((columns >= 0) & (columns < BOX))[:, None, :]
    rows, columns = rows.clip(0, BOX - 1)[:, :, None], columns.clip(0, BOX - 1)[:, None, :]
    return (small[np.arange(len(small))[:, None, None], rows, columns] * inside).astype(np.uint8)
