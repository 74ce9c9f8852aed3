"""A run in words: what pages and terminal say of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict
from typing import Any

from mnistlib.files import ROOT, RunError, read_json
from mnistlib.params import DEFAULT, load_file, profile_path
from mnistlib.rundir import Run
from mnistlib.status import merged_metrics, present_status
from mnistlib.tables import as_text, counted, percent


def describe_run(run: Run) -> dict[str, Any]:
    """Name, dataset, whether it is the fallback, and the parameters that differ from the defaults."""
    try:
        raw = read_json(run.raw_json, hint="")
    except RunError:
        raw = {}
    return {
        "name": run.name,
        "dataset": raw.get("title", "not known yet"),
        "source": raw.get("source", ""),
        "fallback": raw.get("fallback", False),
        "differing": differing(run),
    }


def describe_stage(run: Run, stage: str) -> dict[str, Any]:
    """A stage's status with seconds as text; `total` without the page's."""
    status = present_status(run, stage)
    phases = {name: f"{seconds:.1f}" for name, seconds in status.seconds.items()}
    memory = f"{status.peak_memory_bytes / 1e6:,.0f} MB" if status.peak_memory_bytes else ""
    return {**asdict(status), "total": f"{status.own_seconds:.1f}", "phases": phases, "memory": memory}


def differing(run: Run) -> list[str]:
    """`section.name = value` for each parameter that is not the default's."""
    try:
        default, ours = load_file(profile_path(DEFAULT)), load_file(run.params())
    except RunError:
        return []
    flat = {name: flatten(content) for name, content in (("default", default), ("ours", ours))}
    return [f"{k} = {v}" for k, v in flat["ours"].items() if flat["default"].get(k) != v]


def flatten(content: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings as one with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = flatten(value) if isinstance(value, dict) else {"": value}
        flat.update({f"{key}.{name}".rstrip("."): v for name, v in inner.items()})
    return flat


def headline_facts(run: Run) -> list[tuple[str, str]]:
    """The figures that matter most, named and in words, those that are there."""
    m = merged_metrics(run)
    facts: list[tuple[str, str]] = []
    if "test_accuracy" in m:
        interval = f"{percent(m['test_accuracy_low'], 2)} to {percent(m['test_accuracy_high'], 2)}"
        facts.append(("test accuracy", f"{percent(m['test_accuracy'], 2)} (95 % interval {interval})"))
        facts.append(("test errors", f"{m['test_errors']:,} of {m['test_count']:,}"))
        facts.append(("calibration", f"ECE {m['test_ece']:.4f}, NLL {m['test_nll']:.4f}"))
        covered = f"{percent(m['test_coverage'], 1)} of answers, {m['test_accepted_errors']} of them wrong"
        facts.append(("accepted", covered))
    if m.get("handwriting_count"):
        facts.append(("own drawings", f"{m['handwriting_right']:,} of {m['handwriting_count']:,} recognised"))
    if "val_accuracy" in m:
        facts.append(("validation accuracy", percent(m["val_accuracy"], 2)))
        facts.append(("training", f"{m['train_seconds']:.1f} s, {counted(m['epochs'], 'epoch')}, {m['train_device']}"))
        facts.append(("network", f"{m['model_parameters']:,} parameters"))
    if "knn_accuracy" in m:
        facts.append(("k-NN among test embeddings", percent(m["knn_accuracy"], 2)))
    return facts


def code_version() -> str:
    """The git commit and whether files differ from it; empty outside a repository of the project's own."""
    above = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}  # a repository up there is somebody else's
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, timeout=10, env=above).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def metric_rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Every metric as text."""
    return [{"name": name, "value": as_text(value)} for name, value in metrics.items()]
