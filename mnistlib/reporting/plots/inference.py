"""Figures of predictions for drawings and image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mnistlib.core.files import printable
from mnistlib.core.formatting import confidence_text
from mnistlib.imaging.decoding import decode, full_size
from mnistlib.inference.batch_summary import folder_label
from mnistlib.inference.prediction import Page, Prediction
from mnistlib.reporting.plots.style import BLUE, GREY, RED, new_figure, picture_grid, show, tidy

PAGE_SIDE = 1200  # pixels of a plotted page


def plot_what_the_model_saw(paths: Sequence[Path], predictions: Sequence[Prediction], most: int) -> Figure:
    """Plot a contact sheet of the network's inputs with file name, predicted digit and confidence.

    Red titles mark predictions that were not accepted, with the reason, and errors in labeled folders, with the label.

    Args:
        paths: the image files.
        predictions: one for each file.
        most: images shown, at most.
    """
    shown = list(zip(paths, predictions, strict=True))[:most]
    figure, grid = picture_grid(len(shown), columns=min(8, len(shown)), cell=1.2, title=0.35)
    for axes, (path, p) in zip(grid, shown, strict=True):
        name = "".join(c if c.isprintable() else "?" for c in cut(path.stem, 20))
        rejected = f"? · {cut(printable(p.rejection_reason), 16)}"
        answer, label = f"{p.digit} · {confidence_text(p.confidence)}", folder_label(path)
        wrong = label not in ("", str(p.digit)) and bool(p.image.any())
        text = f"{label} → {answer}" if wrong else answer if p.accepted else rejected
        show(axes, p.image, f"{name}\n{text}", RED if wrong or not p.accepted else "black")
    return figure


def plot_pages(paths: Sequence[Path], pages: Mapping[int, Page], most: int = 6) -> Figure:
    """Plot pages with a box around each digit and what was read; red for a digit that is not accepted.

    Args:
        paths: the image files.
        pages: the pages among them, by index.
        most: pages shown, at most.
    """
    shown = list(pages.items())[:most]
    greys = [decode(paths[i], side=PAGE_SIDE) for i, _ in shown]
    heights = [min(1.6, grey.shape[0] / grey.shape[1]) * 8 + 0.4 for grey in greys]
    figure = new_figure(8, sum(heights))
    grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, grey, (i, page) in zip(grid, greys, shown, strict=True):
        show(axes, 255 - grey, cut("".join(c if c.isprintable() else "?" for c in paths[i].name), 60))
        axes.axis("off")
        scale = grey.shape[1] / full_size(paths[i])[0]
        for digit in page.digits:
            left, top, right, bottom = (scale * side for side in digit.box)
            color = BLUE if digit.prediction.accepted else RED
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=color, linewidth=1.2))
            axes.annotate(
                str(digit.prediction.digit), (left, top), color=color, fontsize=11, weight="bold", va="bottom"
            )
    return figure


def cut(text: str, most: int) -> str:
    """Return the text, shortened to `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plot_pad(drawn: Sequence[tuple[Sequence[Sequence[Sequence[float]]], Prediction]]) -> Figure:
    """Plot each drawing in a row: its strokes, the network's input, and the probability of each class.

    Args:
        drawn: pairs of strokes (each a list of x, y) and prediction.
    """
    figure = new_figure(6.4, 2.1 * len(drawn))
    grid = figure.subplots(len(drawn), 3, squeeze=False, width_ratios=(2, 1.2, 2.4))
    for (ink, saw, bars), (strokes, answer) in zip(grid, drawn, strict=True):
        for stroke in strokes:
            x, y = np.asarray(stroke, float).T
            ink.plot(x, y, color="black", linewidth=5, solid_capstyle="round", solid_joinstyle="round")
        ink.set_aspect("equal")
        ink.invert_yaxis()
        ink.margins(0.2)
        ink.set(xticks=[], yticks=[])
        saw.axis("off")
        show(saw, answer.image, "network input")
        text = (
            f"{answer.digit} · {confidence_text(answer.confidence)}"
            if answer.accepted
            else f"? · {answer.rejection_reason}"
        )
        bars.set_title(text, loc="left", color="black" if answer.accepted else RED)
        colors = [BLUE if digit == answer.digit else GREY for digit in range(len(answer.probabilities))]
        bars.barh(range(len(colors)), answer.probabilities, color=colors)
        bars.set(xlim=(0, 1), yticks=range(len(colors)), xticks=[])
        bars.invert_yaxis()
        tidy(bars)
    return figure


def plot_before_after(
    images: Sequence[np.ndarray],
    labels: Sequence[int],
    before: Sequence[int] | np.ndarray,
    after: Sequence[int] | np.ndarray,
) -> Figure:
    """Plot drawings with their true class and their predicted class before → after fine-tuning; red: still wrong.

    Args:
        images: N of uint8 28×28.
        labels: N true digits.
        before: N digits predicted before.
        after: N digits predicted after.
    """
    figure, grid = picture_grid(len(images), columns=max(1, min(10, len(images))), cell=1.0, title=0.35)
    for axes, image, label, first, second in zip(grid, images, labels, before, after, strict=True):
        show(axes, image, f"true {label}\n{first} → {second}", "black" if second == label else RED)
    return figure
