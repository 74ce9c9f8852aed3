"""Figures of the evaluation: errors, calibration, selective prediction, outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mnistlib.core.formatting import confidence_text, percent
from mnistlib.evaluation.metrics import Mistake
from mnistlib.evaluation.reliability import Bin, ece, ece_by_chance
from mnistlib.inference.predictor import Prediction
from mnistlib.reporting.plots.style import BLUE, GREY, PALE, RED, new_figure, picture_grid, scale_counts, show, tidy


def plot_confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Plot a confusion matrix; color marks errors only.

    Args:
        matrix: int K×K, images of each true class (row) by predicted class (column).
    """
    import seaborn

    figure = new_figure(6.2, 5.2)
    axes = figure.subplots()
    errors = matrix - np.diag(np.diag(matrix))
    shown = np.where(matrix > 0, matrix.astype(str), "")
    seaborn.heatmap(
        errors, annot=shown, fmt="", cmap="Reds", square=True, linewidths=0.5,
        cbar_kws={"label": "errors", "ticks": MaxNLocator(integer=True)},
        xticklabels=list(classes), yticklabels=list(classes), vmax=max(1, int(errors.max()) * 1.5), ax=axes,
    )  # fmt: skip
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def plot_reliability(bins: list[Bin]) -> Figure:
    """Plot a reliability diagram: accuracy by confidence, the number of predictions per bin, and the ECE.

    Thin bars about the diagonal show the 95 % range of the accuracy if the network were perfectly calibrated.

    Args:
        bins: non-empty bins, as `reliability_bins` returns them.
    """
    figure = new_figure(4.6, 4.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middle = [(b.low + b.high) / 2 for b in bins]
    width = [0.94 * (b.high - b.low) for b in bins]
    above.bar(middle, [b.accuracy for b in bins], width, color=BLUE, alpha=0.75, label="accuracy")
    confidence, accuracy, chance = np.array([(b.confidence, b.accuracy, b.chance) for b in bins]).T
    far = np.minimum(1.96 * chance, [confidence, 1 - confidence])
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfect calibration")
    above.errorbar(
        confidence,
        confidence,
        far,
        fmt="none",
        ecolor="black",
        elinewidth=1,
        capsize=3,
        label="95 % range if calibrated",
    )
    above.plot(confidence, accuracy, "o", color=RED, markersize=4, label="accuracy at the bin's mean confidence")
    above.set_ylabel("accuracy")
    found, expected = percent(ece(bins), 2), percent(ece_by_chance(bins), 2)
    above.set_title(f"ECE {found}; if calibrated, {expected} is expected", fontsize=10, loc="left")
    figure.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=8)
    below.bar(middle, [b.count for b in bins], width, color=GREY)
    scale_counts(below)
    below.set_ylabel("predictions")
    below.set_xlabel("confidence")
    for axes in (above, below):
        tidy(axes)
    return figure


def plot_risk_coverage(coverage: np.ndarray, risk: np.ndarray, accepted: float, wrong: int) -> Figure:
    """Plot the risk–coverage curve, and a red point for the predictions that both thresholds accept.

    The x axis begins shortly before the first error or the red point.

    Args:
        coverage: share of predictions accepted, float N in 0…1, ascending.
        risk: share of errors among them, float N in 0…1.
        accepted: share of predictions that both thresholds accept, 0…1.
        wrong: errors among those.
    """
    figure = new_figure(5, 2.8)  # narrow enough to show the red point on a phone without scrolling
    axes = figure.subplots()
    axes.plot(100 * coverage, 100 * risk, color=BLUE)
    error = wrong / max(1, round(accepted * len(coverage)))
    axes.plot(100 * accepted, 100 * error, "o", color=RED, label="accepted by both thresholds")
    first = min(accepted, float(coverage[risk > 0].min(initial=1.0)))
    axes.set_xlim(max(0.0, 100 * first - 5), 100.5)
    axes.set_xlabel("coverage: accepted predictions, %")
    axes.set_ylabel("error among accepted, %")
    axes.legend(frameon=False)
    tidy(axes)
    return figure


def plot_mistakes(mistakes: Sequence[Mistake], classes: Sequence[str]) -> Figure:
    """Plot errors with their true → predicted class, confidence and index in the split.

    Args:
        mistakes: as `surest_mistakes` returns them.
    """
    figure, grid = picture_grid(len(mistakes), columns=8, cell=1.05, title=0.35)
    for axes, m in zip(grid, mistakes, strict=True):
        show(
            axes,
            m.image,
            f"{classes[m.label]} → {classes[m.prediction]}\n{confidence_text(m.confidence)} · no. {m.index}",
        )
    return figure


def plot_ood_detection(answers: Mapping[str, Sequence[Prediction]], each: int = 12) -> Figure:
    """Plot a row of outlier images for each kind; a red digit marks an accepted one and names its predicted class.

    Args:
        answers: predictions by kind.
        each: images in a row.
    """
    figure, grid = picture_grid(each * len(answers), columns=each, cell=0.75, title=0.15)
    places: list[Any] = list(grid)
    for row, (kind, predictions) in enumerate(answers.items()):
        cells = places[row * each : (row + 1) * each]
        cells[0].text(-3, 14, kind, fontsize=8, rotation=90, ha="right", va="center")
        for axes, p in zip(cells, predictions, strict=False):
            show(axes, p.image, str(p.digit) if p.accepted else "", RED)
            axes.axis("on")
            axes.set(xticks=[], yticks=[])  # a frame, because one kind is blank
            axes.spines[:].set_color(PALE)
    return figure
