"""Figures of what was recognised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mnistlib.plots import RED, picture_grid
from mnistlib.plots.data import show
from mnistlib.predict import Prediction


def plot_what_the_model_saw(paths: Sequence[Path], predictions: Sequence[Prediction], most: int) -> Figure:
    """A contact sheet of 28×28 pictures with file name, answer and confidence; red where not accepted."""
    shown = list(zip(paths, predictions, strict=True))[:most]
    figure, grid = picture_grid(len(shown), columns=min(8, len(shown)), cell=1.2, title=0.35)
    for axes, (path, p) in zip(grid, shown, strict=True):
        name = path.stem if len(path.stem) <= 20 else f"{path.stem[:19]}…"
        name = "".join(c if c.isprintable() and c != "$" else "?" for c in name)
        answer = f"{p.digit} · {p.confidence:.0%}" if p.accepted else f"? · {p.why_not[:24]}"
        show(axes, p.image, f"{name}\n{answer}", "black" if p.accepted else RED)
    return figure
