"""What is known of a trained run: its model, its data, its parameters, and what it measured, in rows of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnistlib.core.config import nested
from mnistlib.core.errors import RunError
from mnistlib.core.formatting import percent
from mnistlib.data.datasets import DATASETS, are_digits
from mnistlib.data.datasheets import DATASHEETS, Datasheet
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.evaluation.metrics import accuracy_interval, confusion, load_predictions
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_description
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import is_current, merged_metrics, parameters_used

CORRUPTED, PASSED = "corrupted_error_", "ood_accepted_"


@dataclass(frozen=True)
class Facts:
    """What a card is made of: the run's model, metrics and parameters, and its data's origin in words."""

    run: Run
    title: str
    classes: tuple[str, ...]
    fallback: bool
    origin: Datasheet
    model: dict[str, Any]
    metrics: dict[str, Any]
    params: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def framed(self) -> str:
        """Whose frames its pictures have: all digits here are framed as MNIST's makers did it."""
        return DATASETS["mnist"].title if are_digits(self.classes) else self.title


def gather(run: Run) -> Facts:
    """The facts of a run that has been trained. Raises RunError when it has not, or its data is none that is known."""
    raw = read_raw(run, hint="run 01_data first", needed=["dataset"])
    model = read_description(run)
    try:
        calibration = asdict(load_calibration(run)) if is_current(run, "04_evaluate") else {}
    except RunError:
        calibration = {}
    known = DATASETS[raw["dataset"]]
    metrics, given = merged_metrics(run), nested(parameters_used(run))
    origin, fallback = DATASHEETS[raw["dataset"]], bool(raw.get("fallback"))
    return Facts(run, known.title, known.classes, fallback, origin, model, metrics, given, calibration)


def lead(f: Facts) -> str:
    """The run in two sentences, for someone who was not there."""
    m, count = f.metrics, f.model["training"].get("pictures", f.metrics.get("train_count", 0))
    own = m.get("synthetic_ink_count", 0) + m.get("outliers_count", 0)
    beside = f", and {own:,} of this project's own making," if own else ""
    told = (
        f"A network of {f.model['parameters']:,} parameters that has learnt from {count:,} pictures{beside} to tell "
        f"{len(f.classes)} kinds of {f.origin.things} apart: {', '.join(f.classes)}."
    )
    if "test_errors" not in m:
        return f"{told} How good it is has not been measured yet."
    tested = f"Of the {m['test_count']:,} pictures in the test part of {f.title}, none of which it learnt from"
    return f"{told} {tested}, it mistakes {m['test_errors']:,}."


def corrupted_rows(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Errors on spoilt pictures: in the mean, and where they are worst."""
    if "corrupted_error_mean" not in m:
        return []
    each = {k.removeprefix(CORRUPTED): v for k, v in m.items() if k.startswith(CORRUPTED)}
    own = {k: v for k, v in each.items() if not k.startswith(("mean", "restored_", "reframed_"))}
    worst = max(own, key=lambda name: own[name])
    plain, restored = (percent(m[f"corrupted_error_{way}mean"], 1) for way in ("", "restored_"))
    means = f"{plain} as they are, {restored} restored"
    return [
        (f"errors on pictures spoilt in {len(own)} ways, mean", means),
        ("the worst of these", f"{worst.replace('_', ' ')}, {percent(own[worst], 1)} errors as they are"),
    ]


def ood_rows(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The share of each kind of stranger that passes for one of the classes."""
    return [
        (f"{k.removeprefix(PASSED)} taken for a digit", percent(v, 1)) for k, v in m.items() if k.startswith(PASSED)
    ]


def class_rows(run: Run, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Pictures, errors and share recognised of each class, with its interval; none where none stand or can be read."""
    if not is_current(run, "04_evaluate"):
        return []
    try:
        labels, logits = load_predictions(run)
        matrix = confusion(labels, logits.argmax(1), len(classes))
    except (RunError, ValueError):
        return []
    rows: list[tuple[str, ...]] = []
    for name, count, right in zip(classes, matrix.sum(1).tolist(), np.diag(matrix).tolist(), strict=True):
        if count:
            low, high = accuracy_interval(count - right, count)
            rows.append(
                (
                    name,
                    f"{count:,}",
                    f"{count - right:,}",
                    percent(right / count, 2),
                    f"{percent(low, 2)} to {percent(high, 2)}",
                )
            )
    return rows
