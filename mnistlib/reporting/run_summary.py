"""What pages and terminal say about a run: its data, its changed parameters, its stages and its headline figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mnistlib.core.config import DEFAULT, flatten, load_file, profile_path
from mnistlib.core.errors import RunError
from mnistlib.core.formatting import counted, percent
from mnistlib.runs.layout import Run
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import current_records, merged_metrics, parameters_used


def describe_run(run: Run, stage: str = "") -> dict[str, Any]:
    """Return name, dataset, source, whether it is the fallback, and the parameters that differ from the defaults.

    For a `stage`, only the parameters that it or a stage before it reads.
    """
    try:
        raw = read_raw(run, hint="")
    except RunError:
        raw = {}
    return {
        "name": run.name,
        "dataset": raw.get("title", "not loaded yet"),
        "source": raw.get("source", ""),
        "fallback": raw.get("fallback", False),
        "differing": differing(run, stage),
    }


def describe_stage(run: Run, stage: str) -> dict[str, Any]:
    """Return a stage's record with its seconds, by phase and in total, and its peak memory as text."""
    record = current_records(run)[stage]
    phases = {name: f"{seconds:.1f}" for name, seconds in record.seconds.items()}
    memory = f"{record.peak_memory_bytes / 1e6:,.0f} MB" if record.peak_memory_bytes else ""
    return {**asdict(record), "total": f"{record.total_seconds:.1f}", "phases": phases, "memory": memory}


def differing(run: Run, stage: str = "") -> list[str]:
    """Return `section.name = value` for each parameter that differs from the default profile.

    The values are those that the outputs were made with. For a `stage`, only the parameters that it depends on.
    """
    try:
        default = flatten(load_file(profile_path(DEFAULT)))
    except RunError:
        return []
    return [f"{name} = {value}" for name, value in parameters_used(run, stage).items() if default.get(name) != value]


def headline_facts(run: Run) -> list[tuple[str, str]]:
    """Return the most important figures that the run has, as names and texts."""
    m = merged_metrics(run)
    facts = test_facts(m)
    if "val_accuracy" in m:
        facts += [
            ("validation accuracy", validation_text(m)),
            ("training", training_text(m)),
            ("network", f"{m['model_parameters']:,} parameters"),
        ]
    if "knn_accuracy" in m:
        pixels = f", {percent(m['pixel_knn_accuracy'], 2)} on raw pixels" if "pixel_knn_accuracy" in m else ""
        facts.append(("k-NN accuracy", f"{percent(m['knn_accuracy'], 2)} on embeddings{pixels}"))
    return facts


def test_facts(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the results on the test set and on people's own drawings; nothing before 04_evaluate has run."""
    if "test_accuracy" not in m:
        return []
    interval = f"95 % interval: {percent(m['test_accuracy_low'], 2)} to {percent(m['test_accuracy_high'], 2)}"
    chance = f" ({percent(m['test_ece_by_chance'], 2)} expected by chance)" if "test_ece_by_chance" in m else ""
    rows = [
        ("test accuracy", f"{percent(m['test_accuracy'], 2)} ({interval})"),
        ("test errors", f"{m['test_errors']:,} of {m['test_count']:,}"),
        ("calibration", f"ECE {percent(m['test_ece'], 2)}{chance}, NLL {m['test_nll']:.4f}"),
        ("coverage", f"{percent(m['test_coverage'], 1)} accepted, {m['test_accepted_errors']:,} of them wrong"),
    ]
    if m.get("handwriting_count"):
        rows.append(("your drawings", f"{m['handwriting_right']:,} of {m['handwriting_count']:,} correct"))
    return rows


def validation_text(m: Mapping[str, Any]) -> str:
    """Return validation accuracy with the number of errors, because few images make it a rough estimate."""
    accuracy, count = percent(m["val_accuracy"], 2), m.get("val_count")
    return (
        f"{accuracy} ({counted(round((1 - m['val_accuracy']) * count), 'error')} in {count:,})" if count else accuracy
    )


def training_text(m: Mapping[str, Any]) -> str:
    """Return seconds, epochs and device of the training."""
    return f"{m['train_seconds']:.1f} s, {counted(m['epochs'], 'epoch')}, {m['train_device']}"
