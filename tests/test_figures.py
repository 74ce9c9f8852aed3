"""Figures as pictures: few bytes, and the same to the eye."""

import io

import numpy as np
from PIL import Image

from mnistlib.figures import DPI, picture_of
from mnistlib.plots.features import plot_map


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
