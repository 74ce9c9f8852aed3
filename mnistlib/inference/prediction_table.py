"""The predictions of a run's input files: their table, `predictions.csv`, and sample input files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistlib.core.files import printable, shown, write_bytes, write_text
from mnistlib.evaluation.calibration import NOT_LIKE_A_DIGIT
from mnistlib.imaging.image_files import to_png
from mnistlib.inference.batch_summary import folder_label
from mnistlib.inference.predictor import Prediction
from mnistlib.runs.layout import Run

FORMULA = tuple("=+-@＝＋－＠\t\r\n")  # how a spreadsheet's formula begins


def prediction_rows(paths: Sequence[Path], predictions: Sequence[Prediction]) -> list[dict[str, object]]:
    """Return one row per file: prediction, probability, whether it is accepted, and the rejection reason.

    Where a folder is named after a digit, the rows also have labels.
    """
    labels = [folder_label(path) for path in paths]
    return [
        {
            "file": printable(shown(path)),
            **({"label": label} if any(labels) else {}),
            "digit": p.digit if p.image.any() else "",
            "probability": round(p.confidence, 6) if p.image.any() else "",
            "accepted": p.accepted,
            "rejection_reason": printable(p.rejection_reason),
        }
        for path, label, p in zip(paths, labels, predictions, strict=True)
    ]


def worst_first(paths: Sequence[Path], predictions: Sequence[Prediction]) -> tuple[list[Path], list[Prediction]]:
    """Return files and predictions: errors by confidence, then what does not look like a digit, then other rejections.

    Only pictures in folders named after digits have known errors. The order is otherwise unchanged.
    """

    def rank(i: int) -> tuple[bool, float, bool, bool]:
        p, label = predictions[i], folder_label(paths[i])
        wrong = bool(label) and label != str(p.digit) and bool(p.image.any())
        return not wrong, -p.confidence * wrong, p.accepted, p.rejection_reason != NOT_LIKE_A_DIGIT

    order = sorted(range(len(paths)), key=rank)
    return [paths[i] for i in order], [predictions[i] for i in order]


def count_predictions(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Return by metric name how many files there were, how many were accepted, and how many were unreadable."""
    unread = sum(not p.image.any() for p in predictions)
    accepted = sum(p.accepted for p in predictions)
    return {"infer_count": len(predictions), "infer_accepted": accepted, "infer_unreadable": unread}


def save_predictions_csv(run: Run, rows: Sequence[dict[str, object]]) -> Path:
    """Write `data/inference/predictions.csv`; return its path. Raises RunError."""
    write_csv(predictions_csv(run), rows)
    return predictions_csv(run)


def save_numbers_csv(run: Run, rows: Sequence[dict[str, object]]) -> None:
    """Write `data/inference/numbers.csv` in place of an earlier one, none without rows. Raises RunError."""
    path = run.inference / "numbers.csv"
    path.unlink(missing_ok=True)
    if rows:
        write_csv(path, rows)


def write_csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Write rows with the same columns, text that a spreadsheet would compute quoted. Raises RunError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def no_formula(value: object) -> object:
    """Quote text that a spreadsheet would take for a formula, with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def predictions_csv(run: Run) -> Path:
    """Return the path of a run's `predictions.csv`."""
    return run.inference / "predictions.csv"


def write_examples(run: Run, images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> list[Path]:
    """Write a random sample of test images as PNG files, in place of an earlier sample.

    The sample does not depend on any prediction, so that its accepted share estimates the coverage.

    Args:
        run: the run to write `data/inference/examples/` into.
        images, labels: the test set, uint8 N×28×28 and int N.
        count: size of the sample.
        seed: of the sample.

    Returns:
        The paths, in random order: a larger sample starts with the smaller one.
    """
    folder = run.inference / "examples"
    for old in folder.glob("test_*_is_*.png"):
        old.unlink()
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    paths = [folder / f"test_{i:05d}_is_{labels[i]}.png" for i in chosen]
    for path, i in zip(paths, chosen, strict=True):
        write_bytes(path, to_png(np.asarray(images[i])))
    return paths
