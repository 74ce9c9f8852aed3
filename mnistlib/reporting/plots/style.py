"""Figures: each function returns one, and neither saves nor shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

if TYPE_CHECKING:
    import numpy as np

DIGIT_COLORS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1",
    "#9c755f", "#d37295", "#6b6b6b", "#b6992d", "#2aa6a1",
)  # fmt: skip
BLUE, ORANGE, RED, GREY, PALE = DIGIT_COLORS[0], DIGIT_COLORS[1], DIGIT_COLORS[3], "#8a8a8a", "#dddddd"

matplotlib.rcdefaults()  # a page is the same whoever makes it: a person's own matplotlibrc may ask for LaTeX
matplotlib.rcParams["text.parse_math"] = False  # names of files, classes and runs are text, dollars included


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, laid out tightly, that no global state knows."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: object) -> None:
    """Take away the box's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]


def picture_grid(count: int, columns: int, cell: float = 1.0, title: float = 0.0) -> tuple[Figure, list[object]]:
    """A figure with `count` empty axes in rows of `columns`; `title` inches are kept above each cell.

    Without any it says that there are none, for an empty figure looks like a broken one.
    """
    rows = max(1, -(-count // columns))
    figure = new_figure(columns * cell, rows * (cell + title))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    if not count:
        figure.text(0.5, 0.5, "none in this run", ha="center", va="center")
    return figure, list(grid[:count])


def show(axes: Any, image: np.ndarray, title: str, color: str = "black") -> None:
    """One picture, ink dark on light as on paper."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8, color=color, pad=2)


def scale_counts(axes: Any) -> None:
    """Make the upright axis of counts logarithmic, its numbers written out: without formulas there are no powers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter(NullFormatter())
