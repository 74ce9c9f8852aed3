"""What all figures share: colors, sizes, a grid of images."""

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

matplotlib.rcdefaults()  # a user's own matplotlibrc would change the figures, or ask for LaTeX
matplotlib.rcParams["text.parse_math"] = False  # names of files, classes and runs may contain dollars


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that is not registered with pyplot.

    Args:
        width: inches.
        height: inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: object) -> None:
    """Remove the upper and right spines of the axes."""
    axes.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]


def picture_grid(count: int, columns: int, cell: float = 1.0, title: float = 0.0) -> tuple[Figure, list[object]]:
    """Return a figure with `count` empty axes in rows of `columns`; with none of them, the figure says so.

    Args:
        cell: side of one cell, inches.
        title: space above each cell, inches.
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
    """Show one uint8 image as dark ink on light paper, below its title."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8, color=color, pad=2)


def scale_counts(axes: Any) -> None:
    """Make the y axis of counts logarithmic with plain numbers, because formulas (10²) are not parsed."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter(NullFormatter())
