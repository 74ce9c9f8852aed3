"""scikit-learn's embedded digits in MNIST's shape: what is there when nothing else is."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnistlib.imaging.framing import frame

TEST_COUNT = 360
ENLARGED = 64


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels: uint8 N×28×28 and uint8 N.

    1,437 and 360 pictures. The 8×8 originals (UCI "Optical Recognition of Handwritten Digits",
    values 0…16) are enlarged and framed as MNIST; the last 360 are the test part.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.stack([frame(enlarge(small)) for small in bunch.images])
    labels = bunch.target.astype(np.uint8)
    return images[:-TEST_COUNT], labels[:-TEST_COUNT], images[-TEST_COUNT:], labels[-TEST_COUNT:]


def enlarge(small: np.ndarray) -> np.ndarray:
    """8×8 in 0…16 → 64×64 in 0…255, smooth, with a clean background."""
    grey = Image.fromarray((small / 16 * 255).astype(np.float32))
    large = np.asarray(grey.resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC))
    return np.clip((large - 24) * (255 / (255 - 24)), 0, 255)
