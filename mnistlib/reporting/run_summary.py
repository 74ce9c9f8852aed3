"""A run in words: what pages and terminal say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mnistlib.core.config import DEFAULT, flatten, load_file, profile_path
from mnistlib.core.errors import RunError
from mnistlib.core.formatting import as_text, counted, percent
from mnistlib.runs.layout import Run
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import current_records, merged_metrics, parameters_used


def describe_run(run: Run, stage: str = "") -> dict[str, Any]:
    """Name, dataset, whether it is the fallback, and the parameters that differ from the defaults.

    For a `stage`: those parameters alone that it or a stage before it reads.
    """
    try:
        raw = read_raw(run, hint="")
    except RunError:
        raw = {}
    return {
        "name": run.name,
        "dataset": raw.get("title", "not known yet"),
        "source": raw.get("source", ""),
        "fallback": raw.get("fallback", False),
        "differing": differing(run, stage),
    }


def describe_stage(run: Run, stage: str) -> dict[str, Any]:
    """A stage's record with its seconds, by phase and in all, and its memory as text."""
    record = current_records(run)[stage]
    phases = {name: f"{seconds:.1f}" for name, seconds in record.seconds.items()}
    memory = f"{record.peak_memory_bytes / 1e6:,.0f} MB" if record.peak_memory_bytes else ""
    return {**asdict(record), "total": f"{record.total_seconds:.1f}", "phases": phases, "memory": memory}


def differing(run: Run, stage: str = "") -> list[str]:
    """`section.name = value` for each parameter that is not the default's; for a `stage`, of those it depends on.

    What is told is what the outputs were made with, not what was asked for since.
    """
    try:
        default = flatten(load_file(profile_path(DEFAULT)))
    except RunError:
        return []
    return [f"{name} = {value}" for name, value in parameters_used(run, stage).items() if default.get(name) != value]


def headline_facts(run: Run) -> list[tuple[str, str]]:
    """The figures that matter most, named and in words, those that are there."""
    m = merged_metrics(run)
    facts = test_rows(m)
    if "val_accuracy" in m:
        facts += [
            ("validation accuracy", validated(m)),
            ("training", training(m)),
            ("network", f"{m['model_parameters']:,} parameters"),
        ]
    if "knn_accuracy" in m:
        pixels = f" (of bare pixels {percent(m['pixel_knn_accuracy'], 2)})" if "pixel_knn_accuracy" in m else ""
        facts.append(("k-NN of embeddings", percent(m["knn_accuracy"], 2) + pixels))
    return facts


def test_rows(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Accuracy, errors, calibration and coverage on the test part, and people's own drawings; none before 04."""
    if "test_accuracy" not in m:
        return []
    interval = f"95 % interval {percent(m['test_accuracy_low'], 2)} to {percent(m['test_accuracy_high'], 2)}"
    chance = f" ({m['test_ece_by_chance']:.4f} by chance alone)" if "test_ece_by_chance" in m else ""
    rows = [
        ("test accuracy", f"{percent(m['test_accuracy'], 2)} ({interval})"),
        ("test errors", f"{m['test_errors']:,} of {m['test_count']:,}"),
        ("calibration", f"ECE {m['test_ece']:.4f}{chance}, NLL {m['test_nll']:.4f}"),
        ("accepted", f"{percent(m['test_coverage'], 1)} of answers, {m['test_accepted_errors']:,} of them wrong"),
    ]
    if m.get("handwriting_count"):
        rows.append(("own drawings", f"{m['handwriting_right']:,} of {m['handwriting_count']:,} recognised"))
    return rows


def validated(m: Mapping[str, Any]) -> str:
    """Validation accuracy, with its errors where their number is known: few pictures make it a rough figure."""
    told, count = percent(m["val_accuracy"], 2), m.get("val_count")
    return f"{told} ({counted(round((1 - m['val_accuracy']) * count), 'error')} in {count:,})" if count else told


def training(m: Mapping[str, Any]) -> str:
    """How long it was trained, and on what."""
    return f"{m['train_seconds']:.1f} s, {counted(m['epochs'], 'epoch')}, {m['train_device']}"


def metric_rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Every metric as text."""
    return [{"name": name, "value": as_text(value)} for name, value in metrics.items()]
