"""Provide scikit-learn's embedded digits in MNIST's shape, as the fallback without a network."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnistlib.imaging.framing import frame

TEST_COUNT = 360
ENLARGED = 64


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load the 1,797 digits of UCI's "Optical Recognition of Handwritten Digits", enlarged and framed as MNIST.

    Returns:
        Training images and labels (1,437), test images and labels (the last 360): uint8 N×28×28 and uint8 N.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.stack([frame(enlarge(small)) for small in bunch.images])
    labels = bunch.target.astype(np.uint8)
    return images[:-TEST_COUNT], labels[:-TEST_COUNT], images[-TEST_COUNT:], labels[-TEST_COUNT:]


def enlarge(small: np.ndarray) -> np.ndarray:
    """Enlarge 8×8 pixels in 0…16 to 64×64 in 0…255, smooth, with a clean background."""
    grey = Image.fromarray((small / 16 * 255).astype(np.float32))
    large = np.asarray(grey.resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC))
    return np.clip((large - 24) * (255 / (255 - 24)), 0, 255)
