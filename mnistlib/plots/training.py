"""Figures of training: what the network is shown, and how it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mnistlib.history import Epoch
from mnistlib.plots import BLUE, GREY, new_figure, picture_grid, tidy


def plot_curves(history: Sequence[Epoch], seams: Sequence[int] = ()) -> Figure:
    """Loss and error of both parts by epoch; a thin line after each epoch of `seams`, where a training went on."""
    figure = new_figure(8, 2.8)
    left, right = figure.subplots(1, 2)
    epochs = [e.epoch for e in history]
    left.plot(epochs, [e.train_loss for e in history], "o-", color=GREY, label="train")
    left.plot(epochs, [e.val_loss for e in history], "o-", color=BLUE, label="validation")
    left.set_ylabel("loss, nats")
    right.plot(epochs, [100 * (1 - e.train_accuracy) for e in history], "o-", color=GREY)
    right.plot(epochs, [100 * (1 - e.val_accuracy) for e in history], "o-", color=BLUE)
    right.set_ylabel("errors, %")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for seam in seams:
            axes.axvline(seam + 0.5, color=GREY, linewidth=0.8, linestyle=":", gid="seam")
        tidy(axes)
    left.legend(frameon=False)
    return figure


def plot_distortions(originals: np.ndarray, distorted: np.ndarray) -> Figure:
    """Pictures N×28×28 in 0…1 above what distortion makes of them."""
    count = len(originals)
    figure, grid = picture_grid(2 * count, columns=count, cell=0.85)
    for axes, image in zip(grid, [*originals, *distorted], strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)  # type: ignore[attr-defined]
    return figure
