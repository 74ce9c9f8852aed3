"""The benchmark as a page of its own: accuracy against seconds, cost against data, and how long one answer takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mnistlib.core.files import write_text
from mnistlib.core.formatting import Table
from mnistlib.reporting.figures import picture_of
from mnistlib.reporting.pages import render
from mnistlib.reporting.plots.style import BLUE, GREY, RED, new_figure, tidy


def write_page(path: Path, kept: dict[str, Any]) -> None:
    """Write the page of what `make bench` measured."""
    figures = []
    if kept.get("profiles"):
        text = "Test accuracy against seconds of training: each seed a dot. Grey: the plain recipe, epoch by epoch."
        figures.append((text, plot_accuracy(kept["profiles"], kept.get("tutorial"))))
    if kept.get("scaling"):
        text = "One epoch of the default recipe on more and more examples, from a memory map. Dashed: in proportion."
        figures.append((text, plot_scaling(kept["scaling"])))
    if "inference" in kept:
        figures.append(("How long one picture takes.", plot_latency(kept["inference"]["one_ms"])))
    page = {"kept": kept, "figures": [(text, picture_of(figure, text)) for text, figure in figures]}
    page["stages"] = {name: Table(p["stages"], decimals=2)._repr_html_() for name, p in kept["pipelines"].items()}
    write_text(path, render("page.html.j2", page, Path(__file__).parent))


def plot_accuracy(profiles: list[dict[str, Any]], tutorial: dict[str, Any] | None) -> Figure:
    """Seconds on a logarithmic axis, for the recipes lie far apart; without the plain recipe if it was not reached."""
    figure = new_figure(7.5, 4)
    axes = figure.subplots()
    if tutorial:
        epochs = tutorial["epochs"]
        axes.plot([e["seconds"] for e in epochs], [100 * e["test_accuracy"] for e in epochs], "o-", color=GREY)
        end = (epochs[-1]["seconds"], 100 * epochs[-1]["test_accuracy"])
        axes.annotate("  the plain recipe", end, color=GREY, va="center")
    for row in profiles:
        seconds, accuracies = ([seed[k] for seed in row["seeds"]] for k in ("train_seconds", "test_accuracy"))
        axes.plot(seconds, [100 * a for a in accuracies], "o", color=BLUE)
        axes.annotate(f"  {row['profile']}", (max(seconds), 100 * row["test_accuracy"]), color=BLUE, va="center")
    axes.axhline(99, color=RED, linewidth=1, linestyle="--")
    axes.set(xscale="log", xlabel="seconds of training", ylabel="test accuracy, %")
    tidy(axes)
    return figure


def plot_scaling(rows: list[dict[str, Any]]) -> Figure:
    """Seconds and memory against examples; a line through the last point says what seconds in proportion would be."""
    figure = new_figure(7.5, 2.8)
    left, right = figure.subplots(1, 2)
    examples, seconds, own = ([row[name] for row in rows] for name in ("examples", "epoch_seconds", "peak_own_bytes"))
    left.plot(examples, [seconds[-1] * n / examples[-1] for n in examples], "--", color=GREY)
    left.plot(examples, seconds, "o", color=BLUE)
    left.set(xlabel="examples", ylabel="seconds an epoch", xscale="log", yscale="log")
    right.plot(examples, [n / 1e6 for n in own], "o", color=BLUE)
    right.set(xlabel="examples", ylabel="memory of its own, MB", xscale="log", ylim=(0, 1.2e-6 * max(own)))
    tidy(left)
    tidy(right)
    return figure


def plot_latency(milliseconds: list[float]) -> Figure:
    """A histogram; the slowest percent is cut off."""
    figure = new_figure(6, 2.6)
    axes = figure.subplots()
    shown = sorted(milliseconds)[: int(len(milliseconds) * 0.99)]
    axes.hist(shown, bins=40, color=BLUE)
    axes.set(xlabel="milliseconds for one picture", ylabel="pictures")
    tidy(axes)
    return figure
