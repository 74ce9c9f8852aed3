"""Two runs side by side, and whether their difference could be chance: for `make compare A=… B=…`."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from mnistlib import rundir
from mnistlib.calibrate import load_calibration
from mnistlib.describe import flatten
from mnistlib.evaluate import softmax
from mnistlib.figures import picture_of
from mnistlib.files import RunError, read_json, shown, write_text
from mnistlib.params import load_file
from mnistlib.plots.comparison import plot_confusion_change, plot_curves_of_both, plot_flips
from mnistlib.preprocess import load_part, load_statistics
from mnistlib.report import TEMPLATES, assets
from mnistlib.rundir import Run
from mnistlib.status import merged_metrics
from mnistlib.tables import Table

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

    @property
    def answers(self) -> np.ndarray:
        answers: np.ndarray = self.probabilities.argmax(1)
        return answers


def main() -> int:
    """Compare the runs that the environment's A and B name; returns the exit code."""
    first, second = os.environ.get("A", ""), os.environ.get("B", "")
    if not (first and second):
        print("which runs? make compare A=one B=another", file=sys.stderr)
        return 2
    try:
        print(compare(Run(first), Run(second)))
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def compare(first: Run, second: Run) -> str:
    """Write `runs/compare/A-B.html`; returns what the terminal says.

    Raises RunError when a run is not whole, or when both were not tested on the same pictures.
    """
    hashes = [load_statistics(run)["sha256"] for run in (first, second)]
    names = [name for name in hashes[0] if name.startswith("test_")]
    if any(hashes[0][name] != hashes[1].get(name) for name in names):
        titles = [read_json(run.raw_json, hint="run 01_data").get("title") for run in (first, second)]
        raise RunError(
            f"runs/{first.name} was tested on {titles[0]}, runs/{second.name} on {titles[1]}: errors on different "
            "pictures cannot be compared"
        )
    images, labels = load_part(first, "test")
    a, b = (load_side(run, len(labels)) for run in (first, second))
    lost, won = flips(a, b, labels)
    chance = mcnemar(len(lost), len(won))
    path = rundir.RUNS / "compare" / f"{first.name}-{second.name}.html"
    write_page(path, a, b, images, np.asarray(labels), chance)
    return f"{Table(metric_rows(a, b, KEY))}\n\n{verdict(a, b, len(lost), len(won), chance)}\n\nreport  {shown(path)}"


def load_side(run: Run, count: int) -> Side:
    """One run's answers to `count` test pictures. Raises RunError when it is not whole."""
    path = run.test_predictions
    try:
        with np.load(path, allow_pickle=False) as kept:
            logits = kept["logits"]
        if logits.ndim != 2 or len(logits) != count:
            raise ValueError(f"shape {logits.shape}")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{shown(path)} is missing or damaged ({error}): make evaluate RUN={run.name}") from error
    probabilities = softmax(logits, load_calibration(run).temperature)
    history = read_json(run.history_json, hint=f"make train RUN={run.name}")["epochs"]
    return Side(run, probabilities, merged_metrics(run), flatten(load_file(run.params())), history)


def flips(a: Side, b: Side, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the pictures that only A has right, and of those that only B has right."""
    ours, theirs = a.answers == labels, b.answers == labels
    return np.flatnonzero(ours & ~theirs), np.flatnonzero(~ours & theirs)


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely chance alone makes a difference at least as large (McNemar 1947, the exact test, two-sided), 0…1."""
    from scipy.stats import binomtest

    changed = only_first + only_second
    return float(binomtest(only_second, changed, 0.5).pvalue) if changed else 1.0


def verdict(a: Side, b: Side, lost: int, won: int, chance: float) -> str:
    """The difference in words."""
    if lost == won:
        return f"as many errors: {won} pictures only {b.run.name} has right, {lost} only {a.run.name}"
    better = b.run.name if won > lost else a.run.name
    told = "hardly chance" if chance < 0.05 else "which could well be chance"
    return (
        f"{better} has {abs(won - lost)} errors fewer, {told} (p = {chance:.2g}): {won} pictures only {b.run.name} "
        f"has right, {lost} only {a.run.name}"
    )


def metric_rows(a: Side, b: Side, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Metrics of both with their difference, `names` of them or all; numbers that only one has are left empty."""
    rows = []
    for name in names or dict.fromkeys([*a.metrics, *b.metrics]):
        values = [side.metrics.get(name, "") for side in (a, b)]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        difference = values[1] - values[0] if numbers else ""
        rows.append({"metric": name, f"A: {a.run.name}": values[0], f"B: {b.run.name}": values[1], "B − A": difference})
    return rows


def parameter_rows(a: Side, b: Side) -> list[dict[str, Any]]:
    """The parameters in which the runs differ."""
    sides = {f"A: {a.run.name}": a.parameters, f"B: {b.run.name}": b.parameters}
    return [
        {"parameter": name, **{title: str(kept.get(name, "")) for title, kept in sides.items()}}
        for name in dict.fromkeys([*a.parameters, *b.parameters])
        if a.parameters.get(name) != b.parameters.get(name)
    ]


def write_page(path: Path, a: Side, b: Side, images: np.ndarray, labels: np.ndarray, chance: float) -> None:
    """Write the page, whole or not at all."""
    lost, won = flips(a, b, labels)
    names = (a.run.name, b.run.name)
    figures = [
        (
            f"Only {winner} has these right",
            f"{len(chosen)} pictures, {min(SHOWN, len(chosen))} of them here: what each is, what either took it for, "
            "how surely.",
            picture_of(
                plot_flips(images, labels, chosen[:SHOWN], names, (a.probabilities, b.probabilities)),
                f"test pictures that only {winner} recognises",
            ),
        )
        for winner, chosen in ((b.run.name, won), (a.run.name, lost))
        if len(chosen)
    ]
    curves = picture_of(plot_curves_of_both((a.history, b.history), names), "validation loss and errors of both runs")
    figures.append(("How they learnt", "On validation, epoch by epoch.", curves))
    change = picture_of(plot_confusion_change(a.answers, b.answers, labels), "change of the confusion matrix")
    told = f"Confusions that {b.run.name} has more of (brown) or fewer of (green) than {a.run.name}."
    figures.append(("Which confusions changed", told, change))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = {
        **assets(),
        "names": names,
        "verdict": verdict(a, b, len(lost), len(won), chance),
        "key": Table(metric_rows(a, b, KEY))._repr_html_(),
        "metrics": Table(metric_rows(a, b))._repr_html_(),
        "parameters": parameter_rows(a, b),
        "parameter_table": Table(parameter_rows(a, b))._repr_html_(),
        "figures": figures,
    }
    write_text(path, environment.get_template("compare.html.j2").render(page=page))


if __name__ == "__main__":
    sys.exit(main())
