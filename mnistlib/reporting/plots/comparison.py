"""Figures that compare two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mnistlib.core.formatting import percent
from mnistlib.evaluation.metrics import confusion
from mnistlib.reporting.plots.style import BLUE, ORANGE, new_figure, picture_grid, show, tidy


def plot_flips(
    images: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    names: tuple[str, str],
    probabilities: tuple[np.ndarray, np.ndarray],
) -> Figure:
    """Plot images that the two runs classify differently, with true class, both predictions and confidences.

    Args:
        images: uint8 N×28×28.
        labels: int N.
        chosen: indices of the images to show.
        probabilities: of both runs, float N×K.
    """
    figure, grid = picture_grid(len(chosen), columns=min(8, len(chosen)), cell=1.25, title=0.5)
    for axes, i in zip(grid, chosen, strict=True):
        predicted = [
            f"{name[:12]}: {p[i].argmax()} · {percent(p[i].max(), 1)}"
            for name, p in zip(names, probabilities, strict=True)
        ]
        show(axes, images[i], "\n".join([f"no. {i}: true {labels[i]}", *predicted]))
    return figure


def plot_curves_of_both(
    histories: tuple[Sequence[Mapping[str, float]], Sequence[Mapping[str, float]]], names: tuple[str, str]
) -> Figure:
    """Plot validation loss and error by epoch, both runs in one figure."""
    figure = new_figure(8, 2.8)
    left, right = figure.subplots(1, 2)
    for history, name, color in zip(histories, names, (BLUE, ORANGE), strict=True):
        epochs = [row["epoch"] for row in history]
        left.plot(epochs, [row["val_loss"] for row in history], "o-", color=color, label=name)
        right.plot(epochs, [100 * (1 - row["val_accuracy"]) for row in history], "o-", color=color)
    left.set_ylabel("loss, nats")
    right.set_ylabel("errors, %")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        tidy(axes)
    left.legend(frameon=False)
    return figure


def plot_confusion_change(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> Figure:
    """Plot how many more (brown) or fewer (green) errors of each kind the second run makes; the diagonal is empty."""
    import seaborn

    classes = int(max(labels.max(), first.max(), second.max())) + 1
    change = confusion(labels, second, classes) - confusion(labels, first, classes)
    np.fill_diagonal(change, 0)
    shown = np.where(change != 0, np.char.mod("%+d", change), "")
    largest = max(1, int(np.abs(change).max()))
    figure = new_figure(6.2, 5.2)
    axes = figure.subplots()
    seaborn.heatmap(
        change, annot=shown, fmt="", cmap="BrBG_r", vmin=-largest, vmax=largest, square=True, linewidths=0.5,
        cbar_kws={"label": "change in errors"}, ax=axes,
    )  # fmt: skip
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure
