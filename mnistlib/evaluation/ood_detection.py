"""Out-of-distribution (OOD) detection: how well the OOD score separates inliers from outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistlib.evaluation.calibration import Calibration, ood_score, rejection_reason
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.training.model import DigitNet

RECALL = 0.95


def auroc(inliers: np.ndarray, outliers: np.ndarray) -> float:
    """Return the area under the ROC curve, 0…1: P(inlier scores higher) + P(equal) / 2."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_inlier(inliers, outliers), np.concatenate([inliers, outliers])))


def false_positive_rate(inliers: np.ndarray, outliers: np.ndarray, recall: float = RECALL) -> float:
    """Return the share of outliers, 0…1, at or above the highest threshold that keeps `recall` of the inliers."""
    from sklearn.metrics import roc_curve

    scores = np.concatenate([inliers, outliers])
    fpr, tpr, _ = roc_curve(is_inlier(inliers, outliers), scores, drop_intermediate=False)
    return float(fpr[np.searchsorted(tpr, recall)])


def is_inlier(inliers: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    return np.repeat([True, False], [len(inliers), len(outliers)])


def ood_rows(
    network: DigitNet, calibration: Calibration, inliers: np.ndarray, outliers: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return one row per kind of outlier: number of images, AUROC, false-positive rate at 95 % recall, share accepted.

    Args:
        network: the trained network.
        calibration: its thresholds.
        inliers: logits float N×classes of the test set.
        outliers: uint8 N×28×28 by kind.
    """
    scores = ood_score(inliers)
    rows = []
    for kind, images in outliers.items():
        logits = predict_logits(network, images)
        others, accepted = ood_score(logits), float((rejection_reason(logits, calibration) == "").mean())
        row = {"kind": kind, "pictures": len(images), "AUROC": auroc(scores, others)}
        rows.append(row | {"FPR": false_positive_rate(scores, others), "accepted": accepted})
    return rows


def ood_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the rows as metrics named after measure and kind; fractions."""
    names = {"AUROC": "auroc", "FPR": "fpr", "accepted": "accepted"}
    return {f"ood_{name}_{row['kind']}": row[column] for row in rows for column, name in names.items()}
