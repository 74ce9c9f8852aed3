"""Figures of the robustness to corruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mnistlib.evaluation.robustness import AS_IT_IS, RESTORED
from mnistlib.reporting.plots.style import BLUE, GREY, new_figure, show, tidy


def plot_corruptions(examples: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot one image with each corruption and its error in % below it, above bars of all errors.

    Args:
        examples: the corrupted image, uint8 K×28×28.
        rows: K rows of `robustness_rows`, in the same order; without rows, the figure has no errors.
    """
    figure = new_figure(10.5, 3.6 if rows else 0.9)
    grid = figure.add_gridspec(2 if rows else 1, len(examples), height_ratios=(1, 4) if rows else None)
    for place, image in enumerate(examples):
        axes = figure.add_subplot(grid[0, place])
        show(axes, image, "")
        axes.set(xticks=[], yticks=[])
        if rows:
            axes.set_xlabel(f"{100 * rows[place][AS_IT_IS]:.1f} %", fontsize=8)
    if rows:
        plot_errors(figure.add_subplot(grid[1, :]), rows)
    return figure


def plot_errors(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Two bars for each corruption, one for each treatment; bold: the corruption was part of the augmentation."""
    places = np.arange(len(rows))
    for name, color, shift in ((AS_IT_IS, GREY, -0.2), (RESTORED, BLUE, 0.2)):
        axes.bar(places + shift, [100 * row[name] for row in rows], 0.38, color=color, label=name)
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_xticks(places, [row["corruption"].replace("_", "\n") for row in rows], fontsize=8)
    for label, row in zip(axes.get_xticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["in training"] else "normal")
    axes.set_ylabel("error, %")
    axes.legend(frameon=False)
    tidy(axes)
