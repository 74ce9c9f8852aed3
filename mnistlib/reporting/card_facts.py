"""The facts of a trained run for its model card: model, data, parameters and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import yaml

from mnistlib.core.config import nested
from mnistlib.core.errors import RunError
from mnistlib.core.formatting import counted, percent
from mnistlib.data.datasets import DATASETS, are_digits
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.evaluation.metrics import accuracy_interval, confusion, load_predictions
from mnistlib.reporting.pages import read_template
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_description
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import is_current, merged_metrics, parameters_used

CORRUPTED, OOD_ACCEPTED = "corrupted_error_", "ood_accepted_"


@dataclass(frozen=True)
class Datasheet:
    """What is said of a dataset; templates/datasheets.yaml explains the fields."""

    things: str
    made: str
    people: str
    splits: str
    flaws: str
    unfit: tuple[str, ...]
    licence: str


@cache
def datasheets() -> dict[str, Datasheet]:
    """Return the datasheets by the datasets' names."""
    kept = yaml.safe_load(read_template("datasheets.yaml"))
    return {name: Datasheet(**told | {"unfit": tuple(told["unfit"])}) for name, told in kept.items()}


@dataclass(frozen=True)
class Facts:
    """The run's model, calibration, metrics and parameters, and the datasheet of its dataset."""

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
    def framing(self) -> str:
        """The dataset whose framing the images have: all digits here are framed like MNIST."""
        return DATASETS["mnist"].title if are_digits(self.classes) else self.title


def load_facts(run: Run) -> Facts:
    """Return the facts of a trained run. Raises RunError when it is not trained or its dataset is unknown."""
    raw = read_raw(run, hint="run 01_data first", needed=["dataset"])
    model = read_description(run)
    try:
        calibration = asdict(load_calibration(run)) if is_current(run, "04_evaluate") else {}
    except RunError:
        calibration = {}
    dataset = DATASETS[raw["dataset"]]
    metrics, params = merged_metrics(run), nested(parameters_used(run))
    origin, fallback = datasheets()[raw["dataset"]], bool(raw.get("fallback"))
    return Facts(run, dataset.title, dataset.classes, fallback, origin, model, metrics, params, calibration)


def lead(f: Facts) -> str:
    """Return what the run is and how accurate it is, in three sentences."""
    m, count = f.metrics, f.model["training"].get("pictures", f.metrics.get("train_count", 0))
    synthetic = m.get("synthetic_ink_count", 0) + m.get("outliers_count", 0)
    more = f" and {counted(synthetic, 'synthetic image')}" if synthetic else ""
    what = (
        f"This network of {f.model['parameters']:,} parameters classifies images of {f.origin.things} into "
        f"{len(f.classes)} classes: {', '.join(f.classes)}. It was trained on {count:,} images of {f.title}{more}."
    )
    if "test_errors" not in m:
        return f"{what} Its accuracy has not been measured yet."
    errors = counted(m["test_errors"], "error")
    return f"{what} On the test set of {m['test_count']:,} images, which it was not trained on, it makes {errors}."


def corruption_facts(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the mean error on corrupted images and the largest one."""
    if "corrupted_error_mean" not in m:
        return []
    errors = {k.removeprefix(CORRUPTED): v for k, v in m.items() if k.startswith(CORRUPTED)}
    errors = {k: v for k, v in errors.items() if not k.startswith(("mean", "restored_", "reframed_"))}
    worst = max(errors, key=lambda name: errors[name])
    mean, restored = (percent(m[f"{CORRUPTED}{treatment}mean"], 1) for treatment in ("", "restored_"))
    return [
        (f"mean error under {len(errors)} corruptions", f"{mean}, {restored} restored (tuned on them)"),
        ("largest of these errors", f"{worst.replace('_', ' ')}, {percent(errors[worst], 1)}"),
    ]


def ood_facts(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the share of each kind of out-of-distribution images that is accepted as one of the classes."""
    kinds = {k.removeprefix(OOD_ACCEPTED): v for k, v in m.items() if k.startswith(OOD_ACCEPTED)}
    return [(f"OOD inputs accepted: {kind}", percent(share, 1)) for kind, share in kinds.items()]


def class_rows(run: Run, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return images, errors and recall of each class with its 95 % interval; nothing without valid predictions."""
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
            low, high = (percent(bound, 2) for bound in accuracy_interval(count - right, count))
            rows.append((name, f"{count:,}", f"{count - right:,}", percent(right / count, 2), f"{low} to {high}"))
    return rows
