"""How well digits are told from what is none: scores of strangers against scores of the known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistlib.evaluation.calibration import Calibration, likeness, why_not
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.training.model import DigitNet

RECALL = 0.95


def auroc(known: np.ndarray, strangers: np.ndarray) -> float:
    """Chance that something known scores above a stranger, a tie counting half (Hanley & McNeil 1982); 0…1."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, strangers]))[: len(known)]
    above = ranks.sum() - len(known) * (len(known) + 1) / 2
    return float(above / (len(known) * len(strangers)))


def false_positive_rate(known: np.ndarray, strangers: np.ndarray, recall: float = RECALL) -> float:
    """Share of strangers that score no lower than the highest cut which at least `recall` of the known reach; 0…1."""
    shares = np.arange(1, len(known) + 1) / len(known)
    cut = np.sort(known)[::-1][np.searchsorted(shares, recall)]
    return float((strangers >= cut).mean())


def stranger_rows(
    network: DigitNet, calibration: Calibration, known: np.ndarray, strangers: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """One row per kind: how well `likeness` tells it from the known logits N×classes, and the share accepted.

    `strangers`: uint8 N×28×28 by kind.
    """
    scores = likeness(known)
    rows = []
    for kind, images in strangers.items():
        logits = predict_logits(network, images)
        others, accepted = likeness(logits), float((why_not(logits, calibration) == "").mean())
        row = {"kind": kind, "pictures": len(images), "AUROC": auroc(scores, others)}
        rows.append(row | {"FPR": false_positive_rate(scores, others), "accepted": accepted})
    return rows


def stranger_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The rows as metrics, named after measure and kind; fractions."""
    names = {"AUROC": "auroc", "FPR": "fpr", "accepted": "accepted"}
    return {f"stranger_{name}_{row['kind']}": row[column] for row in rows for column, name in names.items()}
