"""Synthetic outliers for outlier exposure: the network learns to give every class the same probability on them.

Hendrycks, Mazeika & Dietterich 2019, https://arxiv.org/abs/1812.04606. All outliers are drawn here, from strokes and
squares. The outliers of the evaluation (`evaluation.ood_data`) are made in other ways; only its noise resembles the
finest speckles, and its blank pictures the emptiest ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistlib.data.datasets import are_digits
from mnistlib.data.pen_strokes import letter_templates
from mnistlib.data.synthetic import draw_variant, smooth
from mnistlib.imaging.framing import rasterize

NO_CLASS = -1


def make_outliers(count: int, classes: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw outliers: half of them letters, a quarter tangles of strokes, a quarter speckles.

    Args:
        count: number of pictures.
        classes: names of the dataset's classes; other classes than the ten digits get no outliers.
        seed: the same seed gives the same pictures.

    Returns:
        Images uint8 N×28×28 and labels int64 N, all `NO_CLASS`.
    """
    noise = np.random.default_rng(seed)
    count = count if are_digits(classes) else 0
    makers = (pen_letter, pen_letter, tangle, speckle)
    images = np.zeros((count, 28, 28), np.uint8)
    for i in range(count):
        images[i] = makers[i % len(makers)](noise)
    return images, np.full(count, NO_CLASS, np.int64)


def pen_letter(noise: np.random.Generator) -> np.ndarray:
    """Draw a random version of a random letter: uint8 28×28."""
    forms = list(letter_templates().values())
    return draw_variant(forms[noise.integers(len(forms))], noise)


def tangle(noise: np.random.Generator) -> np.ndarray:
    """Draw one to four strokes through random points, straight or curved; fewer strokes are longer: uint8 28×28."""
    strokes = int(noise.integers(1, 5))
    fewest = max(2, 8 - 2 * strokes)
    paths = [noise.uniform(0, 100, (noise.integers(fewest, fewest + 5), 2)) for _ in range(strokes)]
    is_curved = noise.random(strokes) < 0.5
    drawn = [smooth(path) if curved else path for path, curved in zip(paths, is_curved, strict=True)]
    return rasterize(drawn, noise.uniform(1.6, 4))


def speckle(noise: np.random.Generator) -> np.ndarray:
    """Draw squares of 1, 2 or 4 pixels: a random share of them inked, each in a random grey: uint8 28×28."""
    side = int(noise.choice((1, 2, 4)))
    grey = noise.uniform(0, 256, (28 // side, 28 // side))
    inked = noise.random(grey.shape) < noise.uniform(0, 1)
    return np.kron(grey * inked, np.ones((side, side))).astype(np.uint8)
