"""Two runs side by side, and whether their difference could be chance: for `make compare A=… B=…`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown, write_text
from mnistlib.core.formatting import Table
from mnistlib.data.preprocess import load_split, load_statistics
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.evaluation.metrics import load_predictions, softmax
from mnistlib.reporting.figures import Picture, picture_of
from mnistlib.reporting.pages import render
from mnistlib.reporting.plots.comparison import plot_confusion_change, plot_curves_of_both, plot_flips
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, check_own_files, existing
from mnistlib.runs.model_store import check_made_by_make, is_fine_tuned
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import merged_metrics, parameters_used, stands
from mnistlib.training.history import load_history

SHOWN = 40
KEY = ("test_accuracy", "test_errors", "test_nll", "test_ece", "test_coverage", "train_seconds", "model_parameters")


@dataclass(frozen=True)
class Side:
    """One of the two runs: calibrated probabilities of its test part, float64 N×classes, and what it says of itself."""

    run: Run
    probabilities: np.ndarray
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same pictures: indices of what only A and what only B has right, and how likely by chance."""

    a: Side
    b: Side
    images: np.ndarray
    labels: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    chance: float


def compare_runs(first: str, second: str) -> int:
    """Compare two runs by name, write their page and print the verdict; return the exit code."""
    if not (first and second):
        print("which runs? make compare A=one B=another", file=sys.stderr)
        return 2
    if first == second:
        print(f"A and B are both {first}: there is nothing to compare; name two runs", file=sys.stderr)
        return 2
    c = compare(existing(first), existing(second))
    path = layout.RUNS / "compare" / f"{first}~{second}.html"  # no name holds that sign
    write_text(path, render("compare.html.j2", page_of(c)))
    print(f"{Table(metric_rows(c, KEY))}\n\n{verdict(c)}\n\nreport  {shown(path)}")
    return 0


def compare(first: Run, second: Run) -> Comparison:
    """Look at both runs' answers to the same test pictures.

    Raises RunError when a run is not whole or made by hand, or when both were not tested on the same pictures.
    """
    for run in (first, second):
        check_own_files(run)
        check_made_by_make(run)
    check_same_pictures(first, second)
    (images, labels), _ = (load_split(run, "test") for run in (first, second))
    a, b = (load_side(run, len(labels)) for run in (first, second))
    right_a, right_b = (side.probabilities.argmax(1) == labels for side in (a, b))
    only_a, only_b = np.flatnonzero(right_a & ~right_b), np.flatnonzero(right_b & ~right_a)
    return Comparison(a, b, images, np.asarray(labels), only_a, only_b, mcnemar(len(only_a), len(only_b)))


def check_same_pictures(first: Run, second: Run) -> None:
    """Raises RunError when the test parts differ."""
    ours, theirs = (load_statistics(run)["sha256"] for run in (first, second))
    if any(theirs.get(name) != digest for name, digest in ours.items() if name.startswith("test_")):
        titles = [read_raw(run, hint="run 01_data").get("title") for run in (first, second)]
        raise RunError(
            f"runs/{first.name} was tested on {titles[0]}, runs/{second.name} on {titles[1]}: errors on different "
            "pictures cannot be compared"
        )


def load_side(run: Run, count: int) -> Side:
    """One run's answers to `count` test pictures. Raises RunError when it is not whole."""
    if is_fine_tuned(run):
        raise RunError(f"{run.name} was taught and is compared with what it was before in {shown(run.page('teach'))}")
    if not stands(run, "04_evaluate"):
        raise RunError(f"what runs/{run.name} was tested with has changed since: make evaluate RUN={run.name}")
    _, logits = load_predictions(run)
    if len(logits) != count or not np.isfinite(logits).all():
        found = f"{shown(run.test_predictions)} is damaged, of {len(logits)} pictures"
        raise RunError(f"{found}: make evaluate RUN={run.name}")
    for stage in ("03_train", "04_evaluate"):
        run.read_metrics(stage)
    probabilities = softmax(logits, load_calibration(run).temperature)
    history = [asdict(epoch) for epoch in load_history(run)]
    return Side(run, probabilities, merged_metrics(run), parameters_used(run), history)


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely chance alone makes a difference at least as large (McNemar 1947, the exact test, two-sided), 0…1."""
    from scipy.stats import binomtest

    changed = only_first + only_second
    return float(binomtest(only_second, changed, 0.5).pvalue) if changed else 1.0


def verdict(c: Comparison) -> str:
    """The difference in words."""
    fewer = len(c.only_b) - len(c.only_a)
    right = f"{len(c.only_b)} pictures only {c.b.run.name} has right, {len(c.only_a)} only {c.a.run.name}"
    if not fewer:
        return f"as many errors: {right}"
    better = c.b.run.name if fewer > 0 else c.a.run.name
    told = "hardly chance" if c.chance < 0.05 else "which could well be chance"
    return f"{better} has {abs(fewer)} errors fewer, {told} (p = {c.chance:.2g}): {right}"


def metric_rows(c: Comparison, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Metrics of both with their difference, `names` of them or all; what only one has is left empty."""
    rows = []
    for name in names or dict.fromkeys([*c.a.metrics, *c.b.metrics]):
        first, second = (side.metrics.get(name, "") for side in (c.a, c.b))
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (first, second))
        difference = second - first if numbers else ""
        rows.append({"metric": name, **beside(c, first, second), "B − A": difference})
    return rows


def parameter_rows(c: Comparison) -> list[dict[str, Any]]:
    """The parameters in which the runs differ."""
    ours, theirs = c.a.parameters, c.b.parameters
    names = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    return [{"parameter": n, **beside(c, str(ours.get(n, "")), str(theirs.get(n, "")))} for n in names]


def beside(c: Comparison, first: Any, second: Any) -> dict[str, Any]:
    """Two cells under the runs' names."""
    return {f"A: {c.a.run.name}": first, f"B: {c.b.run.name}": second}


def page_of(c: Comparison) -> dict[str, Any]:
    """What the page says."""
    parameters = parameter_rows(c)
    return {
        "names": (c.a.run.name, c.b.run.name),
        "verdict": verdict(c),
        "key": Table(metric_rows(c, KEY))._repr_html_(),
        "metrics": Table(metric_rows(c))._repr_html_(),
        "parameters": Table(parameters)._repr_html_() if parameters else "",
        "figures": figures(c),
    }


def figures(c: Comparison) -> list[tuple[str, str, Picture]]:
    """The page's figures, each with its heading and a sentence."""
    a, b, names = c.a, c.b, (c.a.run.name, c.b.run.name)
    found = []
    for winner, chosen in ((names[1], c.only_b), (names[0], c.only_a)):
        if len(chosen):
            few = chosen[:SHOWN]
            told = f"{len(chosen)} pictures, {len(few)} of them here: what each is, what either took it for."
            figure = plot_flips(c.images, c.labels, few, names, (a.probabilities, b.probabilities))
            alt = f"test pictures that only {winner} recognises"
            found.append((f"Only {winner} has these right", told, picture_of(figure, alt)))
    curves = picture_of(plot_curves_of_both((a.history, b.history), names), "validation loss and errors of both runs")
    change = plot_confusion_change(a.probabilities.argmax(1), b.probabilities.argmax(1), c.labels)
    told = f"Confusions that {names[1]} has more of (brown) or fewer of (green) than {names[0]}."
    return [
        *found,
        ("How they learnt", "On validation, epoch by epoch.", curves),
        ("Which confusions changed", told, picture_of(change, "change of the confusion matrix")),
    ]
