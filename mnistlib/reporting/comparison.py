"""Comparison of two runs on the same test images, with McNemar's test: `make compare A=… B=…`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown, write_text
from mnistlib.core.formatting import Table, counted
from mnistlib.data.preprocess import load_split, load_statistics
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.evaluation.metrics import load_predictions, softmax
from mnistlib.reporting.figures import Picture, picture_of
from mnistlib.reporting.pages import render
from mnistlib.reporting.plots.comparison import plot_confusion_change, plot_curves_of_both, plot_flips
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, check_own_files, existing_run
from mnistlib.runs.model_store import check_made_by_make, is_fine_tuned
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.state import is_current, merged_metrics, parameters_used
from mnistlib.training.history import load_history

SHOWN = 40
KEY = {  # labels of the most important metrics, each with its name and the factor that makes a fraction a percentage
    "test accuracy, %": ("test_accuracy", 100),
    "test errors": ("test_errors", 1),
    "NLL": ("test_nll", 1),
    "ECE, %": ("test_ece", 100),
    "coverage, %": ("test_coverage", 100),
    "training, s": ("train_seconds", 1),
    "parameters": ("model_parameters", 1),
}


@dataclass(frozen=True)
class Side:
    """One run: its calibrated probabilities for the test set, float64 N×classes, metrics, parameters and history."""

    run: Run
    probabilities: np.ndarray
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same test images: indices that only A or only B classifies correctly, and McNemar's p-value."""

    a: Side
    b: Side
    images: np.ndarray
    labels: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    p_value: float


def compare_runs(first: str, second: str) -> int:
    """Compare two runs by name, write their page and print the verdict.

    Returns:
        The exit code: 0, or 2 where not two runs are named.

    Raises:
        RunError: a run is not there or not whole, or the two have other test images.
    """
    if not (first and second):
        print("which runs? Name two: make compare A=one B=another", file=sys.stderr)
        return 2
    if first == second:
        print(f"A and B are both {first}: there is nothing to compare; name two runs", file=sys.stderr)
        return 2
    c = compare(existing_run(first), existing_run(second))
    path = layout.RUNS / "compare" / f"{first}~{second}.html"  # no name holds that sign
    write_text(path, render("compare.html.j2", page_data(c)))
    print(f"{Table(key_rows(c))}\n\n{verdict(c)}\n\nreport  {shown(path)}")
    return 0


def compare(first: Run, second: Run) -> Comparison:
    """Compare the predictions of two runs. Raises RunError unless both are complete and have the same test set."""
    for run in (first, second):
        check_own_files(run)
        check_made_by_make(run)
    check_same_test_set(first, second)
    (images, labels), _ = (load_split(run, "test") for run in (first, second))
    a, b = (load_side(run, len(labels)) for run in (first, second))
    right_a, right_b = (side.probabilities.argmax(1) == labels for side in (a, b))
    only_a, only_b = np.flatnonzero(right_a & ~right_b), np.flatnonzero(right_b & ~right_a)
    return Comparison(a, b, images, np.asarray(labels), only_a, only_b, mcnemar(len(only_a), len(only_b)))


def check_same_test_set(first: Run, second: Run) -> None:
    """Raises RunError when the test sets differ."""
    ours, theirs = (load_statistics(run)["sha256"] for run in (first, second))
    if any(theirs.get(name) != digest for name, digest in ours.items() if name.startswith("test_")):
        titles = [read_raw(run, hint="run 01_data").get("title") for run in (first, second)]
        raise RunError(
            f"runs/{first.name} was tested on {titles[0]}, runs/{second.name} on {titles[1]}: errors on different "
            "test sets cannot be compared; name two runs of one dataset"
        )


def load_side(run: Run, count: int) -> Side:
    """Return a run's predictions for `count` test images. Raises RunError when it is not complete."""
    if is_fine_tuned(run):
        raise RunError(f"{run.name} was fine-tuned: {shown(run.page('teach'))} compares it with its base run")
    if not is_current(run, "04_evaluate"):
        raise RunError(f"runs/{run.name} has changed since it was evaluated: make evaluate RUN={run.name}")
    _, logits = load_predictions(run)
    if len(logits) != count or not np.isfinite(logits).all():
        damaged = f"{shown(run.test_predictions)} is damaged ({len(logits)} predictions for {count} images)"
        raise RunError(f"{damaged}: make evaluate RUN={run.name}")
    for stage in ("03_train", "04_evaluate"):
        run.read_metrics(stage)
    probabilities = softmax(logits, load_calibration(run).temperature)
    history = [asdict(epoch) for epoch in load_history(run)]
    return Side(run, probabilities, merged_metrics(run), parameters_used(run), history)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (https://doi.org/10.1007/BF02295996), 0…1."""
    from scipy.stats import binomtest

    changed = only_first + only_second
    return float(binomtest(only_second, changed, 0.5).pvalue) if changed else 1.0


def verdict(c: Comparison) -> str:
    """Return the difference in errors and whether it is statistically significant, in words."""
    a, b = c.a.run.name, c.b.run.name
    fewer = len(c.only_b) - len(c.only_a)
    correct = f"Images that only {b} classifies correctly: {len(c.only_b):,}; only {a}: {len(c.only_a):,}."
    if not fewer:
        return f"{a} and {b} have equally many errors on the same test images. {correct}"
    better, worse = (b, a) if fewer > 0 else (a, b)
    judgement = "is statistically significant" if c.p_value < 0.05 else "could be due to chance"
    return (
        f"On the same test images, {better} makes {counted(abs(fewer), 'fewer error')} than {worse}. "
        f"This difference {judgement} (p = {c.p_value:.2g}). {correct}"
    )


def key_rows(c: Comparison) -> list[dict[str, Any]]:
    """Return the most important metrics of both runs; fractions as percentages."""
    return [metric_row(c, name, label, factor) for label, (name, factor) in KEY.items()]


def metric_rows(c: Comparison) -> list[dict[str, Any]]:
    """Return all metrics of both runs."""
    return [metric_row(c, name, name) for name in dict.fromkeys([*c.a.metrics, *c.b.metrics])]


def metric_row(c: Comparison, name: str, label: str, factor: int = 1) -> dict[str, Any]:
    """Return a metric of both runs, numbers times `factor`, and its difference; empty where a run lacks the metric."""
    values = [side.metrics.get(name, "") for side in (c.a, c.b)]
    numeric = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    first, second = (factor * value if number else value for value, number in zip(values, numeric, strict=True))
    return {"metric": label, **side_by_side(c, first, second), "B − A": second - first if all(numeric) else ""}


def parameter_rows(c: Comparison) -> list[dict[str, Any]]:
    """Return the parameters in which the runs differ."""
    ours, theirs = c.a.parameters, c.b.parameters
    names = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    return [{"parameter": n, **side_by_side(c, str(ours.get(n, "")), str(theirs.get(n, "")))} for n in names]


def side_by_side(c: Comparison, first: Any, second: Any) -> dict[str, Any]:
    """Return two cells under the names of the runs."""
    return {f"A: {c.a.run.name}": first, f"B: {c.b.run.name}": second}


def page_data(c: Comparison) -> dict[str, Any]:
    """Return what the template shows."""
    parameters = parameter_rows(c)
    return {
        "names": (c.a.run.name, c.b.run.name),
        "verdict": verdict(c),
        "key": Table(key_rows(c))._repr_html_(),
        "metrics": Table(metric_rows(c))._repr_html_(),
        "parameters": Table(parameters)._repr_html_() if parameters else "",
        "figures": figures(c),
    }


def figures(c: Comparison) -> list[tuple[str, str, Picture]]:
    """Return the page's figures, each with its heading and its caption."""
    a, b, names = c.a, c.b, (c.a.run.name, c.b.run.name)
    found = []
    for winner, chosen in ((names[1], c.only_b), (names[0], c.only_a)):
        if len(chosen):
            figure = plot_flips(c.images, c.labels, chosen[:SHOWN], names, (a.probabilities, b.probabilities))
            which = f"The first {SHOWN} of the {len(chosen):,} test" if len(chosen) > SHOWN else "Test"
            caption = (
                f"{which} images that only {winner} classifies correctly. Above each image: its index, its class, "
            )
            caption += "and both predictions with their confidence."
            title = f"Correct only with {winner}"
            found.append((title, caption, picture_of(figure, title)))
    curves = picture_of(plot_curves_of_both((a.history, b.history), names), "learning curves of both runs")
    change = plot_confusion_change(a.probabilities.argmax(1), b.probabilities.argmax(1), c.labels)
    changed = f"Brown: errors that {names[1]} makes more often than {names[0]}. Green: errors that it makes less often."
    return [
        *found,
        ("Learning curves", "Loss and error on the validation set after each epoch.", curves),
        ("Difference of the confusion matrices", changed, picture_of(change, "confusion matrix of B minus that of A")),
    ]
