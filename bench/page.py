"""The benchmark's page: accuracy against seconds of training, cost against dataset size, latency of one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.accuracy.pictures import as_table
from mnistlib.core.files import write_text
from mnistlib.core.formatting import Table
from mnistlib.reporting.figures import picture_of
from mnistlib.reporting.pages import render
from mnistlib.reporting.plots.style import BLUE, GREY, RED, new_figure, tidy


def write_page(path: Path, results: dict[str, Any]) -> None:
    """Write the page of what `make bench` measured."""
    figures = []
    if results.get("profiles"):
        text = "Test accuracy against seconds of training. Blue: each seed. Gray: the tutorial recipe, epoch by epoch."
        figures.append((text, plot_accuracy(results["profiles"], results.get("tutorial"))))
    if results.get("scaling"):
        text = "One epoch of the default recipe on growing datasets, read from a memory map. Dashed: proportional cost."
        figures.append((text, plot_scaling(results["scaling"])))
    if "inference" in results:
        figures.append(("Milliseconds for one picture.", plot_latency(results["inference"]["one_ms"])))
    page = {"results": results, "figures": [(text, picture_of(figure, text)) for text, figure in figures]}
    page["stages"] = {name: Table(p["stages"], decimals=2)._repr_html_() for name, p in results["pipelines"].items()}
    page["pictures"] = as_table(results["pictures"])._repr_html_() if "pictures" in results else ""
    page["other_readers"] = Table(results.get("other_readers", []), decimals=3)._repr_html_()
    write_text(path, render("page.html.j2", page, Path(__file__).parent))


def plot_accuracy(profiles: list[dict[str, Any]], tutorial: dict[str, Any] | None) -> Figure:
    """Plot accuracy against seconds, on a logarithmic axis; the tutorial recipe where it was measured."""
    figure = new_figure(7.5, 4)
    axes = figure.subplots()
    if tutorial:
        epochs = tutorial["epochs"]
        axes.plot([e["seconds"] for e in epochs], [100 * e["test_accuracy"] for e in epochs], "o-", color=GREY)
        end = (epochs[-1]["seconds"], 100 * epochs[-1]["test_accuracy"])
        axes.annotate("  the tutorial recipe", end, color=GREY, va="center")
    for row in profiles:
        seconds, accuracies = ([seed[k] for seed in row["seeds"]] for k in ("train_seconds", "test_accuracy"))
        axes.plot(seconds, [100 * a for a in accuracies], "o", color=BLUE)
        axes.annotate(f"  {row['profile']}", (max(seconds), 100 * row["test_accuracy"]), color=BLUE, va="center")
    axes.axhline(99, color=RED, linewidth=1, linestyle="--")
    axes.set(xscale="log", xlabel="seconds of training", ylabel="test accuracy, %")
    tidy(axes)
    return figure


def plot_scaling(rows: list[dict[str, Any]]) -> Figure:
    """Plot seconds and memory against examples, with a line of proportional cost through the last point."""
    figure = new_figure(7.5, 2.8)
    left, right = figure.subplots(1, 2)
    examples, seconds, own = ([row[name] for row in rows] for name in ("examples", "epoch_seconds", "peak_own_bytes"))
    left.plot(examples, [seconds[-1] * n / examples[-1] for n in examples], "--", color=GREY)
    left.plot(examples, seconds, "o", color=BLUE)
    left.set(xlabel="examples", ylabel="seconds an epoch", xscale="log", yscale="log")
    right.plot(examples, [n / 1e6 for n in own], "o", color=BLUE)
    right.set(xlabel="examples", ylabel="private memory, MB", xscale="log", ylim=(0, 1.2e-6 * max(own)))
    tidy(left)
    tidy(right)
    return figure


def plot_latency(milliseconds: list[float]) -> Figure:
    """Plot a histogram without the slowest percent."""
    figure = new_figure(6, 2.6)
    axes = figure.subplots()
    shown = sorted(milliseconds)[: int(len(milliseconds) * 0.99)]
    axes.hist(shown, bins=40, color=BLUE)
    axes.set(xlabel="milliseconds for one picture", ylabel="pictures")
    tidy(axes)
    return figure
