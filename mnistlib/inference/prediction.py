"""The prediction for one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Attributes:
        digit: the most probable class.
        probabilities: calibrated, float64, one per class.
        accepted: whether both thresholds are reached.
        image: the network's input, uint8 28×28, ink bright.
        rejection_reason: why it is rejected; empty when it is accepted.
    """

    digit: int
    probabilities: np.ndarray
    accepted: bool
    image: np.ndarray
    rejection_reason: str = ""

    @property
    def confidence(self) -> float:
        """Return the probability of the predicted class, 0…1."""
        return float(self.probabilities.max())
