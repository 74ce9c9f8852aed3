"""Figures of training: the network, what it is shown, and how it learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mnistlib.reporting.plots.style import BLUE, GREY, new_figure, picture_grid, tidy
from mnistlib.training.history import Epoch

if TYPE_CHECKING:  # the curves need no torch
    from mnistlib.training.model import Architecture

APART, SHEETS = 1.75, 6  # between two columns of the diagram, in sides of the input; sheets of a stack at most
REDUCED_BY = {"stride": ",\nstride 2", "max": ",\n2 × 2 max-pooling", "none": ""}


def plot_network(architecture: Architecture) -> Figure:
    """Draw the network from left to right: maps as stacks of squares, vectors as bars.

    Args:
        architecture: the network's layout; the figure shows the shape of each output and the layers between them.

    Returns:
        A figure with one column each for the input, the convolutions, the embedding and the logits.
    """
    a, side = architecture, 28
    shapes = [(1, side), *zip(a.widths, a.sides(), strict=True)]
    layers = [f"conv {k} × {k}{REDUCED_BY[p]}" for k, p in zip(a.kernels, a.pooling, strict=True)]
    figure = new_figure(8.5, 2.3)
    axes = figure.subplots()
    for column, (channels, pixels) in enumerate(shapes):
        draw_maps(axes, column * APART, channels, pixels / side)
        name = "image\n" if column == 0 else "maps\n"
        axes.text(column * APART, -0.85, f"{name}{channels} × {pixels} × {pixels}", ha="center", va="top", fontsize=9)
    for column, (name, size, height) in enumerate((("embedding", a.hidden, 1.0), ("logits", a.classes, 0.6)), 4):
        axes.add_patch(Rectangle((column * APART - 0.06, -height / 2), 0.12, height, facecolor=BLUE, alpha=0.6))
        axes.text(column * APART, -0.85, f"{name}\n{size}", ha="center", va="top", fontsize=9)
    for column, layer in enumerate([*layers, "linear", "linear"]):
        middle = (column + 0.5) * APART
        axes.annotate("", (middle + 0.2, 0), (middle - 0.2, 0), arrowprops={"arrowstyle": "->", "color": GREY})
        axes.text(middle, 0.72, layer, ha="center", va="bottom", fontsize=8, color="#555555")
    axes.set(xlim=(-0.7, 5 * APART + 0.7), ylim=(-1.3, 1.15), aspect="equal")
    axes.axis("off")
    return figure


def draw_maps(axes: Any, x: float, channels: int, side: float) -> None:
    """A stack of up to `SHEETS` squares about x, one behind the other."""
    sheets = min(channels, SHEETS)
    for sheet in reversed(range(sheets)):
        move = 0.045 * (sheet - (sheets - 1) / 2)
        corner = (x - side / 2 + move, -side / 2 + move)
        axes.add_patch(Rectangle(corner, side, side, facecolor="#dbe6f2", edgecolor=BLUE, linewidth=0.8))


def plot_curves(history: Sequence[Epoch], seams: Sequence[int] = ()) -> Figure:
    """Plot training loss, validation loss and both errors by epoch.

    Args:
        history: one row per epoch, at least one.
        seams: epochs after which an interrupted training was resumed; a dotted line marks each.
    """
    figure = new_figure(10, 2.8)
    left, middle, right = figure.subplots(1, 3)
    epochs = [e.epoch for e in history]
    left.plot(epochs, [e.train_loss for e in history], "o-", color=GREY)
    left.set_ylabel("training loss, nats")
    middle.plot(epochs, [e.val_loss for e in history], "o-", color=BLUE)
    middle.set_ylabel("validation loss, nats")
    right.plot(epochs, [100 * (1 - e.train_accuracy) for e in history], "o-", color=GREY, label="training")
    right.plot(epochs, [100 * (1 - e.val_accuracy) for e in history], "o-", color=BLUE, label="validation")
    right.set_ylabel("errors, %")
    right.set_yscale("log")
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.yaxis.set_minor_locator(NullLocator())
    right.yaxis.set_major_formatter("{x:g}")
    right.legend(frameon=False)
    for axes in (left, middle, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for seam in seams:
            axes.axvline(seam + 0.5, color=GREY, linewidth=0.8, linestyle=":", gid="seam")
        tidy(axes)
    return figure


def plot_distortions(originals: np.ndarray, distorted: np.ndarray) -> Figure:
    """Plot images above their augmented versions.

    Args:
        originals: float N×28×28 in 0…1.
        distorted: the same images after augmentation, likewise.
    """
    count = len(originals)
    figure, grid = picture_grid(2 * count, columns=count, cell=0.85)
    for axes, image in zip(grid, [*originals, *distorted], strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)  # type: ignore[attr-defined]
    return figure
