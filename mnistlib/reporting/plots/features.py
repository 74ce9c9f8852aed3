"""Figures of what was learnt: the first kernels, maps of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mnistlib.reporting.plots.style import DIGIT_COLORS, new_figure, picture_grid


def plot_kernels(kernels: np.ndarray) -> Figure:
    """Kernels N×K×K, a square each on one scale: blue above 0, red below."""
    figure, grid = picture_grid(len(kernels), columns=8, cell=0.85, title=0.05)
    most = float(np.abs(kernels).max())
    for axes, kernel in zip(grid, kernels, strict=True):
        axes.imshow(kernel, cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")  # type: ignore[attr-defined]
    return figure


def plot_map(
    points: np.ndarray, labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str], axis_names: tuple[str, str]
) -> Figure:
    """Points N×2 colored by class, which stands on its island; those that were recognised wrongly are ringed."""
    import seaborn

    figure = new_figure(6.6, 5.2)
    axes = figure.subplots()
    names = [classes[label] for label in labels]
    seaborn.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=names, hue_order=list(classes), palette=list(DIGIT_COLORS[: len(classes)]),
        s=9, linewidth=0, ax=axes,
    )  # fmt: skip
    wrong = labels != predictions
    axes.scatter(
        points[wrong, 0],
        points[wrong, 1],
        s=46,
        facecolors="none",
        edgecolors="black",
        linewidths=0.9,
        label="mistaken",
    )
    for name in sorted(set(names)):
        x, y = np.median(points[np.array(names) == name], axis=0)
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(x, y, name, weight="bold", ha="center", va="center", path_effects=outline)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_xticks([])
    axes.set_yticks([])
    seaborn.despine(ax=axes)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.6)
    return figure
