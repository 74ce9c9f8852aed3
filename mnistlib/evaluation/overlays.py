"""What can lie over pictures: fog, spatter and lines, drawn for a whole batch at once.

`images` everywhere float32 N×28×28 in 0…1, ink bright; what is returned may exceed 1 and is clipped by the caller.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mnistlib.imaging.framing import SIZE

FOG, ROUGHNESS, MAP, MAPS = 3.0, 1.4, 256, 256
MUD = 63 / 255
LINE = 2.3
AMPLITUDE = HALF_PERIOD = 2.0


def fog(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A plasma three times as bright as ink, then darkened so that the brightest possible stays as bright as it was.

    A map for each of 10,000 pictures would take longer than all the rest: at most 256 serve all, each in eight guises
    as probable as itself, for a plasma may be mirrored at its first point, on its torus, and turned inside out.
    """
    count, corner = len(images), np.arange(SIZE)
    maps = plasma(max(1, min(count, MAPS)), noise)
    rows, columns = (noise.choice([-1, 1], (count, 1)) * corner for _ in range(2))
    cloud = maps[noise.integers(len(maps), size=count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    inverted = noise.random((count, 1, 1)) < 0.5
    brightest = images.max(axis=(1, 2), keepdims=True)
    return (images + FOG * np.where(inverted, 1 - cloud, cloud)) * brightest / (brightest + FOG)


def plasma(count: int, noise: np.random.Generator) -> np.ndarray:
    """Fractal clouds, float32 N×256×256 in 0…1, by diamond-square on a torus (Fournier, Fussell & Carpenter 1982).

    The middle of each square, then of each of its sides, is the mean of its four neighbours and a wobble, uniform up
    to the square of 1.4 ** −level: the published corruption multiplies its wibble by a draw as large as itself.
    """
    maps = np.zeros((count, MAP, MAP), np.float32)
    step, wibble = MAP, 1.0
    while step > 1:
        half = step // 2
        corners, middles = maps[:, ::step, ::step], maps[:, half::step, half::step]
        right, below = np.roll(corners, -1, axis=2), np.roll(corners, -1, axis=1)
        middles[:] = wobbled(corners + right + below + np.roll(right, -1, axis=1), wibble**2, noise)
        maps[:, ::step, half::step] = wobbled(corners + right + middles + np.roll(middles, 1, axis=1), wibble**2, noise)
        maps[:, half::step, ::step] = wobbled(corners + below + middles + np.roll(middles, 1, axis=2), wibble**2, noise)
        step, wibble = half, wibble / ROUGHNESS
    maps -= maps.min(axis=(1, 2), keepdims=True)
    return maps / maps.max(axis=(1, 2), keepdims=True)


def wobbled(sums: np.ndarray, most: float, noise: np.random.Generator) -> np.ndarray:
    """The mean of four, from their sum, and a uniform draw from −most…most."""
    return sums / 4 + most * (2 * noise.random(sums.shape, dtype=np.float32) - 1)


def spatter(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Grey splashes that hide what they cover: a blurred normal field above its mean, smoothed, its edges cut off."""
    field = np.float32(0.65) + np.float32(0.3) * noise.standard_normal(images.shape, dtype=np.float32)
    drops = (blurred(field, 1.0) > 0.65).astype(np.float32)
    mask = blurred(drops, 1.5)
    mask[mask < 0.8] = 0
    return images * (1 - mask) + np.float32(MUD) * mask


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Each picture by a Gaussian of `sigma` pixels, its edge repeated outside."""
    return ndimage.gaussian_filter(images, sigma, axes=(1, 2), mode="nearest")


def dotted_line(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A straight line from the left edge almost to the right, every second pair of columns left out."""
    first, last = noise.integers(SIZE - 1, size=(2, len(images), 1))
    dots = np.arange(SIZE) // 2 % 2 == 1
    return images + dots * segment(np.zeros_like(first), first, np.full_like(first, SIZE - 1), last)


def zigzag(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A line of short teeth from column 2 to column 25, up or down by at most five rows."""
    start, end = 2, 25
    rise = noise.integers(-5, 5, size=(len(images), 1))
    length = np.hypot(end - start, rise)
    teeth = np.arange(HALF_PERIOD, end - start, 2 * HALF_PERIOD)
    sides = np.broadcast_to(AMPLITUDE * (-1.0) ** np.arange(len(teeth)), (len(rise), len(teeth)))
    rest = length - teeth[-1] + HALF_PERIOD  # from the last crossing on, where the published line ends off its middle
    nothing = np.zeros_like(length)
    along = np.concatenate([nothing, np.broadcast_to(teeth, sides.shape), length], axis=1)
    across = np.concatenate([nothing, sides, sides[:, -1:] / (2 * rest)], axis=1)
    x = start + (along * (end - start) - across * rise) / length
    y = noise.integers(SIZE - 1, size=(len(images), 1)) + (along * rise + across * (end - start)) / length
    lines = (segment(*(each[:, i : i + 1] for i in (at, at + 1) for each in (x, y))) for at in range(x.shape[1] - 1))
    return images + sum(lines)


def segment(x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray) -> np.ndarray:
    """Ink N×28×28 of straight lines between two points, N×1 each coordinate.

    In each column that a line reaches into it is drawn whole, so that two that meet within one both are; in the column
    that it ends at exactly, it is not.
    """
    columns = np.arange(SIZE)
    heights = y + (to_y - y) * (columns - x) / (to_x - x)
    drawn = (columns >= np.floor(x)) & (columns < np.ceil(to_x))
    return line(heights, drawn[:, None])


def line(heights: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Ink N×28×28 about the heights N×28 of a curve, in the columns that are `drawn`, bool 28 or N×1×28.

    1 on the curve, falling with the vertical distance d as 1 + ln(1 − d / 2.3) and 0 from about 1.45 pixels on.
    """
    distance = np.abs(np.arange(SIZE)[:, None] - heights[:, None, :]).astype(np.float32)
    near = 1 - np.minimum(distance, np.float32(0.999 * LINE)) / np.float32(LINE)
    return np.clip(np.log(near) + 1, 0, 1) * drawn
