"""Bring spoilt pictures of MNIST's size back to ink on black, a whole batch at once; what is not spoilt stays.

Against noise, uneven light, inverted parts and blur, without having learnt from any. The numbers below were set on
validation pictures spoilt as `corrupt` does.
"""

from __future__ import annotations

import numpy as np

from mnistlib.imaging.framing import SIZE

REACH = 5
EVEN, MOSTLY = 16, 0.8
FULL = 20
LEAST_CONTRAST = 24
FAINT = 64


def restore(images: np.ndarray) -> np.ndarray:
    """Ink alone, bright on black, of pictures uint8 N×28×28: uint8 N×28×28.

    Ink is whatever differs from the paper, brighter or darker, so that a picture of which half is inverted is whole
    again. Stretched so that its strongest pixels are full ink; what stays below a quarter of that is not ink.
    """
    pixels = despeckle(images.astype(np.float32))
    ink = np.abs(pixels - estimate_background(pixels))
    strongest = np.sort(ink.reshape(len(ink), SIZE * SIZE), axis=1)[:, -FULL]
    ink *= (255 / np.maximum(strongest, LEAST_CONTRAST))[:, None, None]
    ink[ink < FAINT] = 0
    return np.rint(ink.clip(0, 255)).astype(np.uint8)


def despeckle(images: np.ndarray) -> np.ndarray:
    """Each pixel no brighter than the second brightest of its eight neighbours, no darker than the second darkest.

    That is what single pixels of noise exceed and the pixels of a stroke, having two like them beside them, do not.
    """
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    beside = [(down, right) for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    around = np.stack([wide[:, down : down + SIZE, right : right + SIZE] for down, right in beside])
    around.sort(axis=0)
    return images.clip(around[1], around[-2])


def estimate_background(images: np.ndarray) -> np.ndarray:
    """The brightness behind the ink, float32 N×28×28 (or N×1×1 broadcast), from the outermost pixels alone.

    Where most of these agree, their median; else a surface through all four sides, the sum of both ruled surfaces less
    the bilinear one between the corners (Coons 1967). Along a side a running median passes over what crosses it.
    """
    from scipy import ndimage  # a quarter of a second, for pictures that need it

    sides = np.stack([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    top, bottom, left, right = ndimage.median_filter(sides, (1, 1, REACH), mode="nearest")
    around = np.concatenate([top, bottom, left[:, 1:-1], right[:, 1:-1]], axis=1)
    middle = np.median(around, axis=1)[:, None]
    agree = (np.abs(around - middle) <= EVEN).mean(axis=1) >= MOSTLY
    surface = np.broadcast_to(middle[..., None], images.shape).copy()
    surface[~agree] = coons_patch(*(side[~agree] for side in (top, bottom, left, right)))
    return surface


def coons_patch(top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Surfaces float32 N×28×28 between four sides N×28, which meet halfway where they disagree at a corner."""
    along = np.linspace(0, 1, SIZE, dtype=np.float32)
    x, y = along[None, None, :], along[None, :, None]
    first, last = (
        (np.stack([row[:, 0], row[:, -1]], 1) + np.stack([left[:, at], right[:, at]], 1)) / 2
        for row, at in ((top, 0), (bottom, -1))
    )
    corners = [blend(first[:, i, None, None], last[:, i, None, None], y) for i in (0, 1)]
    ruled = blend(top[:, None], bottom[:, None], y) + blend(left[..., None], right[..., None], x)
    surface: np.ndarray = ruled - blend(corners[0], corners[1], x)
    return surface


def blend(first: np.ndarray, last: np.ndarray, share: np.ndarray) -> np.ndarray:
    """From `first` at share 0 to `last` at share 1."""
    mixed: np.ndarray = first * (1 - share) + last * share
    return mixed
