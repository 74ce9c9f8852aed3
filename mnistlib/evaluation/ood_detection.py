"""How well digits are told from what is none: scores of outliers against scores of the known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistlib.evaluation.calibration import Calibration, ood_score, rejection_reason
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.training.model import DigitNet

RECALL = 0.95


def auroc(known: np.ndarray, outliers: np.ndarray) -> float:
    """Chance that something known scores above a stranger, a tie counting half (Hanley & McNeil 1982); 0…1."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, outliers]))[: len(known)]
    above = ranks.sum() - len(known) * (len(known) + 1) / 2
    return float(above / (len(known) * len(outliers)))


def false_positive_rate(known: np.ndarray, outliers: np.ndarray, recall: float = RECALL) -> float:
    """Share of outliers that score no lower than the highest cut which at least `recall` of the known reach; 0…1."""
    shares = np.arange(1, len(known) + 1) / len(known)
    cut = np.sort(known)[::-1][np.searchsorted(shares, recall)]
    return float((outliers >= cut).mean())


def ood_rows(
    network: DigitNet, calibration: Calibration, known: np.ndarray, outliers: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """One row per kind: how well `ood_score` tells it from the known logits N×classes, and the share accepted.

    `outliers`: uint8 N×28×28 by kind.
    """
    scores = ood_score(known)
    rows = []
    for kind, images in outliers.items():
        logits = predict_logits(network, images)
        others, accepted = ood_score(logits), float((rejection_reason(logits, calibration) == "").mean())
        row = {"kind": kind, "pictures": len(images), "AUROC": auroc(scores, others)}
        rows.append(row | {"FPR": false_positive_rate(scores, others), "accepted": accepted})
    return rows


def ood_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The rows as metrics, named after measure and kind; fractions."""
    names = {"AUROC": "auroc", "FPR": "fpr", "accepted": "accepted"}
    return {f"ood_{name}_{row['kind']}": row[column] for row in rows for column, name in names.items()}
