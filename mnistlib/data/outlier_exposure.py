"""Pictures of nothing in particular to learn from: to whatever is no digit every digit shall seem as likely.

Outlier exposure (Hendrycks, Mazeika & Dietterich 2019). All are drawn here from strokes and squares; what `outliers`
measures with, the fonts and the other kinds, is made in other ways and never learnt from, but that the finest speckles
are much like its noise, and the emptiest are blank.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistlib.data.datasets import are_digits
from mnistlib.data.letterforms import LETTERFORMS
from mnistlib.data.synthetic import draw_variant, smooth
from mnistlib.imaging.framing import rasterize

NO_CLASS = -1


def make_outliers(count: int, classes: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are no digits: half of them letters, a quarter tangles of strokes, a quarter speckles.

    Returns images uint8 N×28×28 and labels int64 N, all `NO_CLASS`; the same for the same seed; none when `classes`
    are no digits.
    """
    noise = np.random.default_rng(seed)
    count = count if are_digits(classes) else 0
    makers = (pen_letter, pen_letter, tangle, speckle)
    images = np.zeros((count, 28, 28), np.uint8)
    for i in range(count):
        images[i] = makers[i % len(makers)](noise)
    return images, np.full(count, NO_CLASS, np.int64)


def pen_letter(noise: np.random.Generator) -> np.ndarray:
    """One hand's version of a letter: uint8 28×28."""
    forms = list(LETTERFORMS.values())
    return draw_variant([np.array(stroke, float) for stroke in forms[noise.integers(len(forms))]], noise)


def tangle(noise: np.random.Generator) -> np.ndarray:
    """One to four strokes through points anywhere, straight or curved, the fewer the longer: uint8 28×28."""
    strokes = int(noise.integers(1, 5))
    fewest = max(2, 8 - 2 * strokes)
    paths = [noise.uniform(0, 100, (noise.integers(fewest, fewest + 5), 2)) for _ in range(strokes)]
    curved = noise.random(strokes) < 0.5
    return rasterize(
        [smooth(path) if bent else path for path, bent in zip(paths, curved, strict=True)], noise.uniform(1.6, 4)
    )


def speckle(noise: np.random.Generator) -> np.ndarray:
    """Squares of 1, 2 or 4 pixels, few or many of them inked, each to a grey of its own: uint8 28×28."""
    side = int(noise.choice((1, 2, 4)))
    grey = noise.uniform(0, 256, (28 // side, 28 // side))
    inked = noise.random(grey.shape) < noise.uniform(0, 1)
    return np.kron(grey * inked, np.ones((side, side))).astype(np.uint8)
