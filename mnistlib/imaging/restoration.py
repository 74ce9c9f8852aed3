"""Restore corrupted pictures of 28×28 pixels to ink on black, a whole batch at once.

Against noise, uneven light, inverted regions and blur, without any training. The constants were tuned on corrupted
validation pictures.
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
    """Extract the ink of pictures with any background.

    Ink is whatever differs from the estimated background, brighter or darker, so that a half-inverted digit is complete
    again. Its strongest pixels are stretched to 255; what stays below a quarter of that is not ink.

    Args:
        images: uint8 N×28×28.

    Returns:
        uint8 N×28×28, ink bright on 0.
    """
    pixels = despeckle(images.astype(np.float32))
    ink = np.abs(pixels - estimate_background(pixels))
    strongest = np.sort(ink.reshape(len(ink), SIZE * SIZE), axis=1)[:, -FULL]
    ink *= (255 / np.maximum(strongest, LEAST_CONTRAST))[:, None, None]
    ink[ink < FAINT] = 0
    return np.rint(ink.clip(0, 255)).astype(np.uint8)


def despeckle(images: np.ndarray) -> np.ndarray:
    """Limit each pixel to the range from the second darkest to the second brightest of its eight neighbours.

    Single pixels of noise exceed this range; pixels of a stroke have two like them beside them and stay.
    """
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    beside = [(down, right) for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    around = np.stack([wide[:, down : down + SIZE, right : right + SIZE] for down, right in beside])
    around.sort(axis=0)
    return images.clip(around[1], around[-2])


def estimate_background(images: np.ndarray) -> np.ndarray:
    """Estimate the brightness behind the ink from the outermost pixels: float32 N×28×28.

    If most of them agree, it is their median; else a Coons patch through all four sides, each smoothed by a running
    median that ignores what crosses it.
    """
    from scipy import ndimage  # its import takes a quarter of a second: only some pictures need it

    sides = np.stack([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    top, bottom, left, right = ndimage.median_filter(sides, (1, 1, REACH), mode="nearest")
    around = np.concatenate([top, bottom, left[:, 1:-1], right[:, 1:-1]], axis=1)
    middle = np.median(around, axis=1)[:, None]
    agree = (np.abs(around - middle) <= EVEN).mean(axis=1) >= MOSTLY
    surface = np.broadcast_to(middle[..., None], images.shape).copy()
    surface[~agree] = coons_patch(*(side[~agree] for side in (top, bottom, left, right)))
    return surface


def coons_patch(top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return Coons patches float32 N×28×28 between four sides N×28, averaged where they disagree at a corner.

    Coons 1967, https://apps.dtic.mil/sti/citations/AD0663504: the sum of both ruled surfaces minus the bilinear one.
    """
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
    """Interpolate from `first` at share 0 to `last` at share 1."""
    mixed: np.ndarray = first * (1 - share) + last * share
    return mixed
