"""The fifteen corruptions of MNIST-C for a batch of images, all of which leave the digit legible.

Kinds and severities follow Mu & Gilmer 2019 (https://arxiv.org/abs/1906.02337). The code is new: it reproduces the
statistics, not the pixels. Each function takes float32 N×28×28 in 0…1, ink bright, and a random generator.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from mnistlib.evaluation.canny import canny
from mnistlib.evaluation.overlays import dotted_line, fog, spatter, zigzag
from mnistlib.imaging.framing import SIZE

CENTRE = (SIZE - 1) / 2
Corruption = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def corrupt(images: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Corrupt images as `CORRUPTIONS[name]` does.

    Args:
        images: uint8 N×28×28.
        name: one of `CORRUPTIONS`.
        seed: the same seed gives the same corruptions.

    Returns:
        uint8 N×28×28.

    Raises:
        ValueError: for an unknown name or another shape or dtype.
    """
    if name not in CORRUPTIONS:
        near = difflib.get_close_matches(name, CORRUPTIONS, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(CORRUPTIONS)}"
        raise ValueError(f"unknown corruption {name!r}; {meant}")
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
        raise ValueError(f"expected uint8 N×28×28, found {images.dtype} {images.shape}")
    corrupted = CORRUPTIONS[name](images.astype(np.float32) / 255, np.random.default_rng(seed))
    return np.rint(255 * corrupted).astype(np.uint8)


def shot_noise(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Poisson noise of a sensor that counts three photons at white."""
    return noise.poisson(3 * images) / 3


def impulse_noise(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Salt and pepper: 17 % of the pixels, half of them white, half black."""
    draw = noise.random(images.shape, dtype=np.float32)
    return np.where(draw < 0.085, 0, np.where(draw < 0.17, 1, images))


def glass_blur(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Frosted glass: blur, quantize to 256 greys, swap neighbouring pixels, blur again.

    It blurs along the columns only: MNIST-C's Gaussian takes an image's last axis for its color channels.
    """
    greys = np.floor(255 * blurred_down(images)) / 255
    pixels = greys.reshape(len(images), SIZE * SIZE).T.copy()
    for _ in range(2):
        swap_neighbours(pixels, noise)
    return blurred_down(pixels.T.reshape(images.shape))


def blurred_down(images: np.ndarray) -> np.ndarray:
    """Blur each column by a Gaussian of σ 0.7; the edge repeats outside."""
    return ndimage.gaussian_filter1d(images, 0.7, axis=1, mode="nearest")


def swap_neighbours(pixels: np.ndarray, noise: np.random.Generator) -> None:
    """Swap each pixel, from the last back to row and column 2, with a neighbour or itself, in place.

    The partner is the pixel itself (5 of 8 draws), or that above, left, or above and left. `pixels`: 784×N.
    """
    inner = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)[2:, 2:].ravel()[::-1]
    backwards = np.array([0, 1, SIZE, SIZE + 1, 0, 0, 0, 0])
    picture = np.arange(pixels.shape[1])
    for here, draw in zip(inner, noise.integers(8, size=(len(inner), len(picture)), dtype=np.uint8), strict=True):
        there = here - backwards[draw]
        partner = pixels[there, picture]
        pixels[there, picture] = pixels[here]
        pixels[here] = partner


def motion_blur(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Blur along −45…45° to one side, as ImageMagick with radius 10 and σ 3: whole pixels, half a Gaussian."""
    steps, picture = np.arange(21), np.arange(len(images))
    weights = np.exp(-(steps**2) / (2 * 3.0**2))
    angles = noise.uniform(-np.pi / 4, np.pi / 4, len(images))
    around, smeared = surroundings(images, 20, "edge"), np.zeros_like(images)
    for step, weight in enumerate((weights / weights.sum()).astype(np.float32)):
        down, right = (np.rint(step * part).astype(int) for part in (np.sin(angles), np.cos(angles)))
        smeared += weight * around[picture, 20 + down, 20 + right]
    return smeared


def translate(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Shift by three pixels up or down and three left or right."""
    down, right = noise.choice([0, 6], (2, len(images)))
    return surroundings(images, 3, "constant")[np.arange(len(images)), down, right]


def surroundings(images: np.ndarray, reach: int, outside: Literal["constant", "edge"]) -> np.ndarray:
    """Return a view N×(2 reach + 1)×(2 reach + 1)×28×28 of all shifts by up to `reach` pixels.

    `outside`: whether pixels beyond the edge are 0 or repeat the edge.
    """
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode=outside)
    return sliding_window_view(wide, (SIZE, SIZE), axis=(1, 2))  # type: ignore[call-overload]


def shear(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Shear by 0.4 rad to either side; vertical lines keep their length."""
    return to_either_side(images, lambda a: np.array([[np.cos(a), 0], [-np.sin(a), 1]]), noise)


def rotate(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Rotate by 0.4 rad (23°) to either side."""
    return to_either_side(images, lambda a: np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]), noise)


def scale(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Shrink to 0.7 of the size."""
    return resample(images, np.eye(2) / 0.7)


def to_either_side(images: np.ndarray, matrix: Callable[[float], np.ndarray], noise: np.random.Generator) -> np.ndarray:
    """Apply the map of 0.4 rad to a random half of the images, that of −0.4 rad to the others."""
    to_the_right = noise.random((len(images), 1, 1)) < 0.5
    return np.where(to_the_right, resample(images, matrix(0.4)), resample(images, matrix(-0.4)))


def resample(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply one linear map about the centre to every image, bilinear, 0 outside.

    `matrix`: 2×2, from (row, column) in the result to (row, column) in the source, both from the centre.
    """
    batch, centre = np.eye(3), np.full(3, CENTRE)
    batch[1:, 1:] = matrix
    return ndimage.affine_transform(images, batch, centre - batch @ centre, order=1, mode="grid-constant")


def brightness(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Add half of white."""
    return images + np.float32(0.5)


def stripe(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Invert the left and the right quarter."""
    quarter = np.arange(SIZE) % 21 < 7
    return np.where(quarter, 1 - images, images)


def canny_edges(images: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Keep only the edges, white on black."""
    return canny(images)


def clipped(corruption: Corruption) -> Corruption:
    """Return the corruption with its result as float32, clipped to 0…1."""
    return lambda images, noise: np.clip(corruption(images, noise), 0, 1, dtype=np.float32)


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: clipped(corruption)
    for corruption in (
        shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate, stripe, fog,
        spatter, dotted_line, zigzag, canny_edges,
    )
}  # fmt: skip
