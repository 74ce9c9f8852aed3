"""Canny's edge detector for a batch of images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SIGMA, LOW, HIGH = 1.0, 0.1, 0.2
CONNECTED = np.zeros((3, 3, 3), bool)
CONNECTED[1] = True


def canny(images: np.ndarray) -> np.ndarray:
    """Detect edges (Canny 1986, https://doi.org/10.1109/TPAMI.1986.4767851).

    The steps are a Gaussian of σ 1, Sobel's gradient, non-maximum suppression, and hysteresis (thresholds 0.1 and 0.2).
    The gradient is Sobel's plain sum, eight times the slope per pixel, as the thresholds expect.

    Args:
        images: float32 N×H×W in 0…1.

    Returns:
        bool N×H×W; no edges on the outermost pixels.
    """
    smooth = ndimage.gaussian_filter(images, SIGMA, axes=(1, 2), mode="nearest")
    down, right = slope(smooth, along=1, across=2), slope(smooth, along=2, across=1)
    strength = np.hypot(down, right)
    ridge = on_ridge(down, right, strength)
    return hysteresis(ridge & (strength >= LOW), ridge & (strength >= HIGH))


def slope(images: np.ndarray, along: int, across: int) -> np.ndarray:
    """Sobel's sum: −1 0 1 along one axis, 1 2 1 across it. SciPy's own would also smooth over the batch."""
    rise = ndimage.correlate1d(images, [-1.0, 0.0, 1.0], axis=along, mode="nearest")
    return ndimage.correlate1d(rise, [1.0, 2.0, 1.0], axis=across, mode="nearest")


def on_ridge(down: np.ndarray, right: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return where the gradient is a maximum along its direction, bool N×H×W.

    Each neighbour is interpolated between two pixels. The outermost pixels have no neighbours and are left out.
    """
    inner = (slice(None), slice(1, -1), slice(1, -1))
    down, right, here = down[inner], right[inner], strength[inner]
    steep, falling = np.abs(down) > np.abs(right), down * right >= 0
    larger = np.maximum(np.abs(down), np.abs(right))
    share = np.minimum(np.abs(down), np.abs(right)) / np.maximum(larger, np.finfo(np.float32).tiny)
    ridge = np.zeros(strength.shape, bool)
    ridge[inner] = True
    for sign in (1, -1):
        straight = np.where(steep, moved(strength, sign, 0), moved(strength, 0, sign))
        rising = np.where(steep, moved(strength, sign, -sign), moved(strength, -sign, sign))
        diagonal = np.where(falling, moved(strength, sign, sign), rising)
        ridge[inner] &= here >= straight + share * (diagonal - straight)
    return ridge


def moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return a view N×(H−2)×(W−2) of what lies `down` and `right` of each inner pixel."""
    height, width = images.shape[1:]
    return images[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]


def hysteresis(weak: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Keep the components of `weak` that contain a `strong` pixel, bool N×H×W; diagonal neighbours connect."""
    pieces, count = ndimage.label(weak, CONNECTED)
    kept = np.zeros(count + 1, bool)
    kept[pieces[weak & strong]] = True
    return kept[pieces]
