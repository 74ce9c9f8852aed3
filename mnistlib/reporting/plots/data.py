"""Figures of the raw and the preprocessed data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mnistlib.reporting.plots.style import BLUE, GREY, RED, new_figure, picture_grid, scale_counts, show, tidy


def plot_samples(images: np.ndarray, labels: np.ndarray, classes: Sequence[str], count: int, seed: int) -> Figure:
    """Plot a random sample of images, sorted by class, each below its class name.

    Args:
        images: uint8 N×28×28.
        labels: int N, indices into `classes`; −1 is the last of them.
        count: images in the sample, at most N.
        seed: of the sample.
    """
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    figure, grid = picture_grid(len(chosen), columns=10, cell=0.85, title=0.15)
    for axes, i in zip(grid, chosen, strict=True):
        show(axes, images[i], classes[labels[i]])
    return figure


def plot_class_balance(
    first: np.ndarray, second: np.ndarray, classes: Sequence[str], names: tuple[str, str] = ("train", "test")
) -> Figure:
    """Plot the share of each class in two splits, so that splits of different sizes can be compared.

    Args:
        first: labels of the first split, int N.
        second: labels of the second split, int M.
        names: of the two splits, for the legend.
    """
    figure = new_figure(7, 2.6)
    axes = figure.subplots()
    place = np.arange(len(classes))
    for labels, name, color, shift in ((first, names[0], BLUE, -0.2), (second, names[1], RED, 0.2)):
        counts = np.bincount(labels, minlength=len(classes))
        axes.bar(place + shift, 100 * counts / counts.sum(), 0.38, label=f"{name} ({len(labels):,})", color=color)
    axes.axhline(100 / len(classes), color=GREY, linewidth=0.8, linestyle="--", label="equal shares")
    axes.set_xticks(place, classes)
    axes.set_xlabel("class")
    axes.set_ylabel("share of the split, %")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    tidy(axes)
    return figure


def plot_class_means(images: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Figure:
    """Plot the mean image of each class.

    Args:
        images: uint8 N×28×28.
        labels: int N, indices into `classes`.
    """
    figure, grid = picture_grid(len(classes), columns=10, cell=0.85, title=0.15)
    for digit, axes in enumerate(grid):
        show(axes, images[labels == digit].mean(0), classes[digit])
    return figure


def plot_pixel_histogram(images: np.ndarray, mean: float, std: float) -> Figure:
    """Plot how often each gray value occurs, on a logarithmic scale, with the normalized values above.

    Args:
        images: uint8 N×28×28.
        mean: of the training pixels, in 0…1.
        std: their standard deviation.
    """

    def normalize(pixel: Any) -> Any:
        return (pixel - mean) / std

    def restore(normalized: Any) -> Any:
        return normalized * std + mean

    figure = new_figure(7, 2.6)
    axes = figure.subplots()
    counts = np.bincount(np.asarray(images).ravel(), minlength=256)
    axes.fill_between(np.arange(256) / 255, np.maximum(counts, 1), step="mid", color=BLUE, alpha=0.8)
    scale_counts(axes)
    axes.set_xlabel("pixel value, 0 (background) to 1 (full ink)")
    axes.set_ylabel("pixels")
    above = axes.secondary_xaxis("top", functions=(normalize, restore))
    above.set_xlabel("normalized value")
    tidy(axes)
    return figure
