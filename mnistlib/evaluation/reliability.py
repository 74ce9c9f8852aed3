"""Reliability of the confidence: calibration error, and error by coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistlib.evaluation.calibration import Calibration, rejection_reason
from mnistlib.evaluation.metrics import nll, softmax


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram.

    Attributes:
        low, high: its edges, 0…1.
        count: number of predictions.
        confidence, accuracy: their means, 0…1.
        chance: standard deviation of the accuracy if each confidence were exactly right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    chance: float


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> list[Bin]:
    """Return the non-empty bins of equal width over 0…1, by confidence.

    Args:
        probabilities: float N×classes.
        labels: int N.
        bins: number of bins, empty ones included.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, bins - 1)
    groups = ((b, place == b) for b in range(bins))
    return [
        Bin(
            float(edges[b]),
            float(edges[b + 1]),
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
            float(np.sqrt((confidence * (1 - confidence))[inside].sum()) / inside.sum()),
        )
        for b, inside in groups
        if inside.any()
    ]


def ece(bins: list[Bin]) -> float:
    """Return the expected calibration error, 0…1 (Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602)."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / total


def ece_by_chance(bins: list[Bin]) -> float:
    """Return the ECE that a perfectly calibrated network would have on average (https://doi.org/10.1175/WAF993.1).

    It takes the accuracy of each bin as normally distributed, which is rough for bins of a few predictions.
    """
    return float(np.sqrt(2 / np.pi)) * sum(b.count * b.chance for b in bins) / sum(b.count for b in bins)


def risk_coverage(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage and error, float64 N in 0…1, when only the most confident predictions count.

    Args:
        probabilities: float N×classes.
        labels: int N.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    return answered / len(order), np.cumsum(~right[order]) / answered


def confidence_metrics(logits: np.ndarray, labels: np.ndarray, found: Calibration, bins: int) -> dict[str, Any]:
    """Return NLL, ECE, coverage and errors of the test set by metric name, with the validation set's calibration.

    Args:
        logits: float N×classes of the test set.
        labels: int N.
        found: the run's calibration.
        bins: of the ECE.
    """
    probabilities = softmax(logits, found.temperature)
    diagram = reliability_bins(probabilities, labels, bins)
    _, error = risk_coverage(probabilities, labels)
    accepted = rejection_reason(logits, found) == ""
    wrong = probabilities.argmax(1) != labels
    return {
        "test_nll": nll(logits, labels, found.temperature),
        "test_nll_uncalibrated": nll(logits, labels),
        "test_ece": ece(diagram),
        "test_ece_by_chance": ece_by_chance(diagram),
        "test_ece_uncalibrated": ece(reliability_bins(softmax(logits), labels, bins)),
        "test_coverage": float(accepted.mean()),
        "test_accepted_errors": int((wrong & accepted).sum()),
        "test_error_at_99_coverage": float(error[max(0, len(error) * 99 // 100 - 1)]),
        "test_error_at_98_coverage": float(error[max(0, len(error) * 98 // 100 - 1)]),
    }
