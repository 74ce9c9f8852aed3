"""What the predictions of a batch say: accuracy where folders are named after digits, and likeness to training data.

All functions take the rows of `prediction_rows`, or the same rows as they are read from predictions.csv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.formatting import counted, percent
from mnistlib.evaluation.calibration import KEPT, NOT_LIKE_A_DIGIT, NOT_SURE_ENOUGH, Calibration
from mnistlib.evaluation.metrics import accuracy_interval, confusion

DIGITS = tuple("0123456789")
ENOUGH, FAR = 10, 0.1  # pictures; difference of shares beyond chance

Rows = Sequence[Mapping[str, Any]]


def folder_label(path: Path) -> str:
    """Return the name of the picture's folder if it is a digit, else an empty text."""
    return path.parent.name if path.parent.name in DIGITS else ""


def is_wrong(row: Mapping[str, Any]) -> bool:
    """Return whether a labeled picture is read as another digit, or not at all."""
    return bool(row.get("label")) and str(row["digit"]) != row["label"]


def is_accepted(row: Mapping[str, Any]) -> bool:
    return str(row["accepted"]) == "True"


def label_metrics(rows: Rows) -> dict[str, float]:
    """Return count, accuracy, its 95 % interval, coverage and selective risk of the labeled pictures; {} for none.

    The selective risk is the share of errors among the accepted predictions.
    """
    labeled = [row for row in rows if row.get("label")]
    if not labeled:
        return {}
    accepted = [row for row in labeled if is_accepted(row)]
    errors = sum(map(is_wrong, labeled))
    low, high = accuracy_interval(errors, len(labeled))
    return {
        "infer_labeled": len(labeled),
        "infer_accuracy": 1 - errors / len(labeled),
        "infer_accuracy_low": low,
        "infer_accuracy_high": high,
        "infer_coverage": len(accepted) / len(labeled),
        "infer_selective_risk": sum(map(is_wrong, accepted)) / max(1, len(accepted)),
    }


def describe_labels(metrics: Mapping[str, float]) -> str:
    """Return the metrics of the labeled pictures in words; empty for none."""
    if not metrics:
        return ""
    accuracy, low, high, coverage, risk = (
        percent(value, 1) for name, value in metrics.items() if "labeled" not in name
    )
    pictures = counted(int(metrics["infer_labeled"]), "picture")
    text = f"{pictures} in folders named after digits: accuracy {accuracy} (95 % interval {low} to {high})"
    return f"{text}; accepted {coverage}, of which {risk} wrong"


def label_confusion(rows: Rows) -> np.ndarray:
    """Return the confusion matrix, int64 10×10, of the labeled pictures that could be read."""
    read = [(int(row["label"]), int(row["digit"])) for row in rows if row.get("label") and row["digit"] != ""]
    labels, digits = np.array(read, np.int64).reshape(-1, 2).T
    return confusion(labels, digits, len(DIGITS))


def compare_with_validation(rows: Rows, calibration: Calibration) -> list[dict[str, Any]]:
    """Return the shares of pictures that are accepted, and rejected by each threshold, beside the validation set's.

    The OOD score decides what is not like a digit, the confidence what is not sure enough. Pictures that cannot be read
    are left out.
    """
    reasons = ["accepted" if is_accepted(row) else row["rejection_reason"] for row in rows if row["digit"] != ""]
    not_sure = max(0.0, KEPT - calibration.coverage)
    expected = {"accepted": calibration.coverage, NOT_LIKE_A_DIGIT: 1 - KEPT, NOT_SURE_ENOUGH: not_sure}
    n = len(reasons)
    return [
        {"outcome": name, "pictures": reasons.count(name), "of": n, "share": reasons.count(name) / max(1, n)}
        | {"validation set": share}
        for name, share in expected.items()
    ]


def unlike_training(rows: Rows, calibration: Calibration) -> str:
    """Return a text that says how far the pictures are from the validation set; empty where they are not far.

    Far: the 95 % interval of a share lies 10 points or more from the validation set's, for 10 pictures or more.
    """
    compared = compare_with_validation(rows, calibration)
    if compared[0]["of"] < ENOUGH or not any(map(is_far, compared)):
        return ""
    shares = [f"{c['outcome']} {percent(c['share'], 1)} ({percent(c['validation set'], 1)})" for c in compared]
    rejected = [row["file"] for row in rows if row["digit"] != "" and not is_accepted(row)]
    text = f"these pictures are unlike the training data: {', '.join(shares)}; in parentheses, the validation set"
    return "\n  such as ".join([text, ", ".join(rejected[:3])]) if rejected else text


def describe_likeness(rows: Rows, calibration: Calibration) -> str:
    """Return how far the pictures are from the validation set, in words."""
    if compare_with_validation(rows, calibration)[0]["of"] < ENOUGH:
        return f"fewer than {ENOUGH} pictures of one digit: too few to compare"
    return unlike_training(rows, calibration) or "no share differs far from that of the validation set"


def is_far(compared: Mapping[str, Any]) -> bool:
    n, share, expected = compared["of"], compared["share"], compared["validation set"]
    low, high = accuracy_interval(round(n * (1 - share)), n)
    return low > expected + FAR or high < expected - FAR
