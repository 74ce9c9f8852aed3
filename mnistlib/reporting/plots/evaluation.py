"""Figures of quality: where the network errs and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mnistlib.core.formatting import confidence_text
from mnistlib.evaluation.calibration import Bin, ece, ece_by_chance
from mnistlib.evaluation.metrics import Mistake
from mnistlib.inference.predictor import Prediction
from mnistlib.reporting.plots.style import BLUE, GREY, PALE, RED, new_figure, picture_grid, scale_counts, show, tidy


def plot_confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts of each class (rows) taken for which (columns); the color shows mistakes alone."""
    import seaborn

    figure = new_figure(6.2, 5.2)
    axes = figure.subplots()
    mistakes = matrix - np.diag(np.diag(matrix))
    shown = np.where(matrix > 0, matrix.astype(str), "")
    seaborn.heatmap(
        mistakes, annot=shown, fmt="", cmap="Reds", cbar_kws={"label": "mistakes"}, square=True, linewidths=0.5,
        xticklabels=list(classes), yticklabels=list(classes), vmax=max(1, int(mistakes.max()) * 1.5), ax=axes,
    )  # fmt: skip
    axes.set_xlabel("recognised as")
    axes.set_ylabel("really is")
    return figure


def plot_reliability(bins: list[Bin]) -> Figure:
    """Accuracy against confidence, bin by bin, above how many answers fall into each; ECE, and what chance alone makes.

    Bars about the diagonal: where 95 of 100 samples of a perfectly calibrated network have the bin's accuracy.
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
        confidence, confidence, far, fmt="none", ecolor="black", elinewidth=1, capsize=3, label="by chance alone, 95 %"
    )
    above.plot(confidence, accuracy, "o", color=RED, markersize=4, label="at their mean confidence")
    above.set_ylabel("accuracy")
    above.set_title(f"ECE {ece(bins):.4f}; by chance alone {ece_by_chance(bins):.4f}", fontsize=10, loc="left")
    figure.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=8)
    below.bar(middle, [b.count for b in bins], width, color=GREY)
    scale_counts(below)
    below.set_ylabel("answers")
    below.set_xlabel("confidence")
    for axes in (above, below):
        tidy(axes)
    return figure


def plot_risk_coverage(coverage: np.ndarray, risk: np.ndarray, accepted: float, wrong: int) -> Figure:
    """Error among the answered by the share that is answered, the surest first.

    Beside it what both thresholds accept: the share `accepted` of the answers, `wrong` of them wrong. From shortly
    before that or the first error on.
    """
    figure = new_figure(5, 2.8)  # narrow enough for a phone, where the red point would be scrolled out of sight
    axes = figure.subplots()
    axes.plot(100 * coverage, 100 * risk, color=BLUE)
    error = wrong / max(1, round(accepted * len(coverage)))
    axes.plot(100 * accepted, 100 * error, "o", color=RED, label="accepted by ood_score and confidence")
    first = min(accepted, float(coverage[risk > 0].min(initial=1.0)))
    axes.set_xlim(max(0.0, 100 * first - 5), 100.5)
    axes.set_xlabel("coverage: answered, %")
    axes.set_ylabel("error among the answered, %")
    axes.legend(frameon=False)
    tidy(axes)
    return figure


def plot_mistakes(mistakes: Sequence[Mistake], classes: Sequence[str]) -> Figure:
    """The pictures with what they are, what they were taken for, how surely, and their place in the part."""
    figure, grid = picture_grid(len(mistakes), columns=8, cell=1.05, title=0.35)
    for axes, m in zip(grid, mistakes, strict=True):
        show(
            axes,
            m.image,
            f"{classes[m.label]} taken for {classes[m.prediction]}\n{confidence_text(m.confidence)} · no. {m.index}",
        )
    return figure


def plot_ood_detection(answers: Mapping[str, Sequence[Prediction]], each: int = 12) -> Figure:
    """The first pictures of each kind, a row of `each`; above those accepted the digit that they passed for, red."""
    figure, grid = picture_grid(each * len(answers), columns=each, cell=0.75, title=0.15)
    places: list[Any] = list(grid)
    for row, (kind, given) in enumerate(answers.items()):
        cells = places[row * each : (row + 1) * each]
        cells[0].text(-3, 14, kind, fontsize=8, rotation=90, ha="right", va="center")
        for axes, answer in zip(cells, given, strict=False):
            show(axes, answer.image, str(answer.digit) if answer.accepted else "", RED)
            axes.axis("on")
            axes.set(xticks=[], yticks=[])  # a frame, for one kind is blank
            axes.spines[:].set_color(PALE)
    return figure
