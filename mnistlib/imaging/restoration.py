"""Restore corrupted pictures of 28×28 pixels to ink on black, a whole batch at once.

Against noise, uneven light, inverted regions and blur, without any training. The constants were tuned on corrupted
validation pictures.
"""

from __future__ import annotations

import numpy as np

from mnistlib.imaging.batch_framing import reframe, span
from mnistlib.imaging.framing import BOX, SIZE

REACH = 5
EVEN, MOSTLY = 16, 0.8
FLAT, FLAT_SHARE, OTHER_SHARE = 2, 0.3, 0.2  # grey levels to either side; shares of the picture and of its border
FULL = 20
LEAST_CONTRAST = 24
FAINT = 64
WHOLE = SIZE - 1  # pixels that one piece of ink spans in a picture without margin


def restore_digits(images: np.ndarray) -> np.ndarray:
    """Restore pictures of one digit, and place the digit where MNIST's makers would have.

    Pictures framed as MNIST's stay unchanged. In the others, ink that fits MNIST's box is framed, and so is a digit
    that fills the picture. Other ink stays where it is: it is a digit with noise or a line across it, which framing
    would shrink.

    Args:
        images: uint8 N×28×28 with any background.

    Returns:
        uint8 N×28×28, ink bright on 0.
    """
    is_as_mnist = (np.abs(reframe(images) - images.astype(int)) <= 1).all(axis=(1, 2))
    ink = restore(images)
    is_placed = np.maximum(span(ink.max(axis=2))[1], span(ink.max(axis=1))[1]) <= BOX
    is_placed |= [fills_picture(each) for each in ink]
    placed = np.where(is_placed[:, None, None], reframe(ink), ink)
    return np.where(is_as_mnist[:, None, None], images, placed)


def fills_picture(ink: np.ndarray) -> bool:
    """Return whether one piece of ink leaves no margin on two opposite sides."""
    import cv2  # its import takes a tenth of a second: only some pictures need it

    pieces = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8))[2]
    return bool(pieces[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(initial=0) >= WHOLE)


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
    """Estimate the brightness behind the ink: float32 N×28×28.

    It is the picture's one flat level, if there is one. Else it comes from the outermost pixels: if most of them agree,
    it is their median; else a Coons patch through all four sides, each smoothed by a running median that ignores what
    crosses it.
    """
    from scipy import ndimage  # its import takes a quarter of a second: only some pictures need it

    sides = np.stack([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    top, bottom, left, right = ndimage.median_filter(sides, (1, 1, REACH), mode="nearest").swapaxes(0, 1)
    around = np.concatenate([top, bottom, left[:, 1:-1], right[:, 1:-1]], axis=1)
    middle = np.median(around, axis=1)[:, None]
    agree = (np.abs(around - middle) <= EVEN).mean(axis=1) >= MOSTLY
    surface = np.broadcast_to(middle[..., None], images.shape).copy()
    surface[~agree] = coons_patch(*(side[~agree] for side in (top, bottom, left, right)))
    level, is_flat = flat_level(images, sides)
    surface[is_flat] = level[is_flat, None, None]
    return surface


def flat_level(images: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most frequent grey level of each picture, and whether it is surely the paper's.

    It is where it is frequent enough and no other level is frequent along the four sides N×4×28: half a negative has
    two. So a digit that touches the border is not taken for paper.
    """
    level = counts(images).argmax(axis=1)
    share = (np.abs(images - level[:, None, None]) <= FLAT).mean(axis=(1, 2))
    others = counts(sides) * (np.abs(np.arange(256) - level[:, None]) > FLAT)
    return level, (share > FLAT_SHARE) & (others.max(axis=1, initial=0) < OTHER_SHARE * 4 * SIZE)


def counts(images: np.ndarray) -> np.ndarray:
    """Count each grey level of each picture: int N×256."""
    places = 256 * np.arange(len(images))[:, None, None] + images.astype(int)
    return np.bincount(places.ravel(), minlength=256 * len(images)).reshape(len(images), 256)


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
