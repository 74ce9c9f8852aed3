"""Figures of training: what the network is shown, and how it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mnistlib.reporting.plots.style import BLUE, GREY, new_figure, picture_grid, tidy
from mnistlib.training.history import Epoch


def plot_curves(history: Sequence[Epoch], seams: Sequence[int] = ()) -> Figure:
    """Each part's loss on a scale of its own, and both parts' errors, by epoch.

    A thin line after each epoch of `seams`, where a training went on.
    """
    figure = new_figure(10, 2.8)
    left, middle, right = figure.subplots(1, 3)
    epochs = [e.epoch for e in history]
    left.plot(epochs, [e.train_loss for e in history], "o-", color=GREY)
    left.set_ylabel("training's loss, nats")
    middle.plot(epochs, [e.val_loss for e in history], "o-", color=BLUE)
    middle.set_ylabel("validation's loss, nats")
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
    """Pictures N×28×28 in 0…1 above what distortion makes of them."""
    count = len(originals)
    figure, grid = picture_grid(2 * count, columns=count, cell=0.85)
    for axes, image in zip(grid, [*originals, *distorted], strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)  # type: ignore[attr-defined]
    return figure
