"""Figures of the features: the first layer's kernels, two-dimensional maps of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mnistlib.reporting.plots.style import DIGIT_COLORS, new_figure, picture_grid


def plot_kernels(kernels: np.ndarray) -> Figure:
    """Plot each kernel as a square, all on one color scale: blue above 0, red below.

    Args:
        kernels: float N×K×K.
    """
    figure, grid = picture_grid(len(kernels), columns=8, cell=0.85, title=0.05)
    most = float(np.abs(kernels).max())
    for axes, kernel in zip(grid, kernels, strict=True):
        axes.imshow(kernel, cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")  # type: ignore[attr-defined]
    return figure


def plot_map(
    points: np.ndarray, labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str], axis_names: tuple[str, str]
) -> Figure:
    """Plot points colored by class, with each class name at the median of its points and a circle around each error.

    Args:
        points: float N×2.
        labels: int N, indices into `classes`.
        predictions: int N, likewise.
        axis_names: of x and y.
    """
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
        label="error",
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
