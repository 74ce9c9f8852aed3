"""Figures as pictures: few bytes, and the same to the eye."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mnistlib.reporting.figures import DPI, picture_of
from mnistlib.reporting.plots.evaluation import plot_mistakes, plot_risk_coverage
from mnistlib.reporting.plots.features import plot_kernels, plot_map
from mnistlib.reporting.plots.style import picture_grid
from mnistlib.reporting.plots.training import plot_curves
from mnistlib.training.history import Epoch


def test_a_slim_picture_looks_as_matplotlib_drew_it():
    places = np.random.default_rng(0)
    labels = places.integers(10, size=2000)
    figure = plot_map(places.normal(size=(2000, 2)), labels, labels, list("0123456789"), ("x", "y"))
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=DPI)
    slim = picture_of(figure, "a map").png
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) for png in (whole.getvalue(), slim)]
    assert pixels[0].shape == pixels[1].shape
    assert np.abs(pixels[0] - pixels[1]).mean() < 1.5
    assert (pixels[1][:20, :20] == 255).all()
    assert len(slim) < 0.4 * len(whole.getvalue())


def test_a_figure_is_the_same_whatever_a_person_draws_with(tmp_path):
    draw = (
        "import hashlib; from mnistlib.reporting.figures import picture_of; "
        "from mnistlib.reporting.plots.style import new_figure\n"
        "figure = new_figure(2, 1); figure.subplots().set_title('1 % of $a_b$')\n"
        "print(hashlib.sha256(picture_of(figure, '').png).hexdigest())"
    )
    drawn = []
    for name, text in (("plain", ""), ("own", "text.usetex: True\nfont.size: 20\naxes.facecolor: red\n")):
        (tmp_path / name).write_text(text)
        own = {**os.environ, "MATPLOTLIBRC": str(tmp_path / name)}
        drawn.append(subprocess.run([sys.executable, "-c", draw], env=own, capture_output=True, text=True, check=True))
    assert drawn[0].stdout == drawn[1].stdout != ""


def test_a_picture_is_shown_with_its_words_escaped_and_dark_in_a_dark_theme():
    shown = picture_of(picture_grid(3, 10)[0], 'a "b" <c>')._repr_html_()
    assert 'alt="a &quot;b&quot; &lt;c&gt;"' in shown
    assert '[data-jp-theme-light="false"] img.figure { filter: invert(1)' in shown


def test_kernels_are_on_one_scale_with_white_in_its_middle():
    kernels = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, -4.0], [0.0, 0.0]]])
    shown = [axes.images[0] for axes in plot_kernels(kernels).axes if axes.images]
    assert [image.get_array().tolist() for image in shown] == kernels.tolist()
    assert {image.get_clim() for image in shown} == {(-4.0, 4.0)}


def test_each_class_stands_on_its_island():
    points, labels = np.repeat([[0.0, 0.0], [10.0, 5.0]], 3, axis=0), np.repeat([0, 1], 3)
    texts = plot_map(points, labels, labels, ["a", "b"], ("x", "y")).axes[0].texts
    assert [(text.get_text(), text.get_position()) for text in texts] == [("a", (0.0, 0.0)), ("b", (10.0, 5.0))]


@pytest.mark.parametrize(("accepted", "least"), [(0.7, 70), (0.99, 95)])
def test_the_red_point_is_seen_and_the_first_error_too(accepted, least):
    coverage = np.arange(1, 101) / 100
    axes = plot_risk_coverage(coverage, np.where(coverage >= 0.95, 0.01, 0), accepted, 0).axes[0]
    assert least - 6 < axes.get_xlim()[0] < least


def test_a_grid_without_pictures_says_so():
    assert [text.get_text() for text in plot_mistakes([], ["a"]).texts] == ["none in this run"]
    assert [text.get_text() for text in picture_grid(0, 10)[0].texts] == ["none in this run"]
    assert not picture_grid(3, 10)[0].texts


@pytest.mark.parametrize(("count", "whole"), [(1, ["1"]), (2, ["1", "2"])])
def test_the_curves_of_few_epochs_have_whole_epochs_and_plain_numbers(count, whole):
    figure = plot_curves([Epoch(n, 0.85 / n, 0.93, 0.12 / n, 0.987, 0.01, 5.0) for n in range(1, count + 1)])
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert [t.get_text() for t in axes.get_xticklabels() if low < t.get_position()[0] < high] == whole
        bottom, top = axes.get_ylim()
        ticks = [tick for tick in axes.get_yticklabels() if bottom <= tick.get_position()[1] <= top]
        assert ticks
        assert all(float(tick.get_text()) == pytest.approx(tick.get_position()[1]) for tick in ticks)
        assert not any(tick.get_text() for tick in axes.get_yticklabels(minor=True))
