"""Canny's edge detector for a batch of images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LOW, HIGH = 0.1, 0.2
SOBEL = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])[None]
CONNECTED = np.zeros((3, 3, 3), bool)
CONNECTED[1] = True


def canny(images: np.ndarray) -> np.ndarray:
    """Detect edges (Canny 1986, https://doi.org/10.1109/TPAMI.1986.4767851), as MNIST-C does.

    The steps are a Gaussian of σ 1, Sobel's gradient, non-maximum suppression, and hysteresis (thresholds 0.1 and 0.2).
    The gradient is Sobel's plain sum, eight times the slope per pixel, as the thresholds expect.

    Args:
        images: float32 N×H×W in 0…1.

    Returns:
        bool N×H×W; no edges on the outermost pixels.
    """
    smooth = smoothed(images.astype(np.float64)) / smoothed(np.ones((1, *images.shape[1:])))
    down, right = (ndimage.correlate(smooth, kernel) for kernel in (SOBEL.transpose(0, 2, 1), SOBEL))
    strength = np.hypot(down, right)
    ridge = on_ridge(down, right, strength)
    return hysteresis(ridge, ridge & (strength >= HIGH))


def smoothed(images: np.ndarray) -> np.ndarray:
    """Blur by a Gaussian of σ 1 with nothing outside the picture; what is divided by it is the mean of the inside."""
    return ndimage.gaussian_filter(images, 1.0, axes=(1, 2), mode="constant")


def on_ridge(down: np.ndarray, right: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return where the gradient is at least `LOW` and a maximum along its direction, bool N×H×W.

    Each neighbour is interpolated where the direction crosses the square of the eight pixels around. The outermost
    pixels have no neighbours and are left out.
    """
    ridge = strength >= LOW
    ridge[:, [0, -1]] = ridge[:, :, [0, -1]] = False
    here, step = np.array(np.nonzero(ridge)), np.stack([np.zeros_like(down[ridge]), down[ridge], right[ridge]])
    step /= np.abs(step).max(axis=0)
    sides = [ndimage.map_coordinates(strength, here + way * step, order=1) for way in (1, -1)]
    ridge[ridge] = strength[ridge] >= np.maximum(*sides)
    return ridge


def hysteresis(weak: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Keep the components of `weak` that contain a `strong` pixel, bool N×H×W; diagonal neighbours connect."""
    pieces, count = ndimage.label(weak, CONNECTED)
    kept = np.zeros(count + 1, bool)
    kept[pieces[weak & strong]] = True
    return kept[pieces]
