"""Corruptions that are drawn over images: fog, spatter and lines, for a whole batch.

Images are float32 N×28×28 in 0…1, ink bright. Results may exceed 1; the caller clips them.
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
    """Add a plasma three times as bright as ink, then darken: the brightest possible pixel keeps its brightness.

    At most 256 maps serve all images, each shifted, mirrored and inverted in eight equally probable ways: one map per
    image would take longer than all other corruptions together.
    """
    count, corner = len(images), np.arange(SIZE)
    maps = plasma(max(1, min(count, MAPS)), noise)
    rows, columns = (noise.choice([-1, 1], (count, 1)) * corner for _ in range(2))
    cloud = maps[noise.integers(len(maps), size=count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    inverted = noise.random((count, 1, 1)) < 0.5
    brightest = images.max(axis=(1, 2), keepdims=True)
    return (images + FOG * np.where(inverted, 1 - cloud, cloud)) * brightest / (brightest + FOG)


def plasma(count: int, noise: np.random.Generator) -> np.ndarray:
    """Return fractal clouds, float32 N×256×256 in 0…1 (Fournier, Fussell & Carpenter 1982, https://doi.org/10.1145/358523.358553).

    Diamond-square on a torus: the middle of each square, then of each side, is the mean of four neighbours plus uniform
    noise. Its amplitude is the square of 1.4 ** −level, because MNIST-C multiplies two equal factors.
    """
    maps = np.zeros((count, MAP, MAP), np.float32)
    step, amplitude = MAP, 1.0
    while step > 1:
        half = step // 2
        corners, middles = maps[:, ::step, ::step], maps[:, half::step, half::step]
        right, below = np.roll(corners, -1, axis=2), np.roll(corners, -1, axis=1)
        middles[:] = mean_with_noise(corners + right + below + np.roll(right, -1, axis=1), amplitude**2, noise)
        maps[:, ::step, half::step] = mean_with_noise(
            corners + right + middles + np.roll(middles, 1, axis=1), amplitude**2, noise
        )
        maps[:, half::step, ::step] = mean_with_noise(
            corners + below + middles + np.roll(middles, 1, axis=2), amplitude**2, noise
        )
        step, amplitude = half, amplitude / ROUGHNESS
    maps -= maps.min(axis=(1, 2), keepdims=True)
    return maps / maps.max(axis=(1, 2), keepdims=True)


def mean_with_noise(sums: np.ndarray, most: float, noise: np.random.Generator) -> np.ndarray:
    """Return the mean of four values from their sum, plus uniform noise in −most…most."""
    return sums / 4 + most * (2 * noise.random(sums.shape, dtype=np.float32) - 1)


def spatter(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Grey splashes that hide what they cover: a blurred normal field above its mean, smoothed, without edges."""
    field = np.float32(0.65) + np.float32(0.3) * noise.standard_normal(images.shape, dtype=np.float32)
    drops = (blurred(field, 1.0) > 0.65).astype(np.float32)
    mask = blurred(drops, 1.5)
    mask[mask < 0.8] = 0
    return images * (1 - mask) + np.float32(MUD) * mask


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur each image by a Gaussian of `sigma` pixels; the edge repeats outside."""
    return ndimage.gaussian_filter(images, sigma, axes=(1, 2), mode="nearest")


def dotted_line(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A straight line from the left edge almost to the right, every second pair of columns left out."""
    first, last = noise.integers(SIZE - 1, size=(2, len(images), 1))
    dots = np.arange(SIZE) // 2 % 2 == 1
    return images + dots * segment(np.zeros_like(first), first, np.full_like(first, SIZE - 1), last)


def zigzag(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A zigzag line from column 2 to column 25 that rises or falls by at most five rows."""
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
    """Return the ink N×28×28 of straight lines between two points, coordinates N×1 each.

    Each column that the line enters is drawn whole, so that two lines meeting within a column are both drawn. A column
    where the line ends exactly is not drawn.
    """
    columns = np.arange(SIZE)
    heights = y + (to_y - y) * (columns - x) / (to_x - x)
    drawn = (columns >= np.floor(x)) & (columns < np.ceil(to_x))
    return line(heights, drawn[:, None])


def line(heights: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return ink N×28×28 around the heights N×28 of a curve, in the columns `drawn`, bool 28 or N×1×28.

    Ink is 1 on the curve, falls with the vertical distance d as 1 + ln(1 − d / 2.3), and is 0 from about 1.45 pixels.
    """
    distance = np.abs(np.arange(SIZE)[:, None] - heights[:, None, :]).astype(np.float32)
    near = 1 - np.minimum(distance, np.float32(0.999 * LINE)) / np.float32(LINE)
    return np.clip(np.log(near) + 1, 0, 1) * drawn
