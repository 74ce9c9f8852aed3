"""Ink of the project's own making: reproducible, framed as MNIST, and recognisable by others."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from mnistlib.data import synthetic
from mnistlib.data.loading import obtain
from mnistlib.data.pen_strokes import digit_templates
from mnistlib.data.synthetic import curve, draw_hard, draw_variant, examples, smooth, synthesize, vary_drawing
from mnistlib.imaging.framing import barycentre

DIGITS = [str(digit) for digit in range(10)]


def test_the_seed_alone_makes_the_drawings():
    first, again, other = (synthesize(40, DIGITS, seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_every_digit_is_drawn_as_often_as_another():
    images, labels = synthesize(203, DIGITS, 0)
    assert (images.shape, images.dtype, labels.dtype) == ((203, 28, 28), np.uint8, np.uint8)
    assert set(np.bincount(labels, minlength=10)) == {20, 21}


def test_other_classes_than_digits_get_none():
    images, labels = synthesize(50, ["shirt", "bag"], 0)
    assert images.shape == (0, 28, 28)
    assert labels.shape == (0,)


@pytest.mark.parametrize(
    ("digit", "name"), [(digit, name) for digit, variants in digit_templates().items() for name in variants]
)
def test_every_variant_is_framed_as_mnist(digit, name):
    noise = np.random.default_rng(0)
    for _ in range(5):
        drawn = draw_variant(digit_templates()[digit][name], noise)
        assert drawn.max() == 255
        assert all(13.5 <= b < 15.5 for b in barycentre(drawn))


@pytest.mark.parametrize("pen", [1, 2, 3])
def test_a_hard_pen_knows_no_grey_and_is_as_wide_as_it_says(pen):
    bar = draw_hard([np.array([(0.0, 0.0), (0.0, 90.0)])], pen)
    assert set(np.unique(bar)) == {0, 255}
    assert set((bar > 0).sum(1)[6:-6]) == {pen}
    assert 20 - pen <= (bar > 0).any(1).sum() <= 21
    slanting = draw_hard([np.array([(0.0, 0.0), (40.0, 90.0)]), np.array([(0.0, 45.0), (40.0, 45.0)])], pen)
    assert set(np.unique(slanting)) == {0, 255}


def test_pens_are_hard_thin_and_thick_now_and_then(monkeypatch):
    soft = []
    monkeypatch.setattr(synthetic, "rasterize", lambda strokes, pen: soft.append(pen))
    noise = np.random.default_rng(0)
    drawn = [draw_variant(digit_templates()[0]["oval"], noise) for _ in range(1000)]
    assert sum(image is not None for image in drawn) == pytest.approx(150, abs=35)
    pens = np.array(soft)
    assert (pens.min(), pens.max()) == pytest.approx((1, 4.6), abs=0.1)
    assert ((pens < 1.8) | (pens > 3.6)).mean() == pytest.approx(0.12 / 0.85 * 0.5, abs=0.02)


def test_curves_run_through_their_points_and_turn_sharply_at_corners():
    points = np.array([(0, 0), (10, 30), (40, 30), (40, 30), (50, 90)], float)
    path = smooth(points)
    assert all(np.abs(path - point).sum(1).min() < 1e-9 for point in points)
    corner = np.flatnonzero(np.abs(path - points[2]).sum(1) < 1e-9)
    after = path[corner[-1] :]
    assert np.allclose((after - after[0]) @ [60, -10], 0)


def test_a_curve_through_points_on_a_line_is_the_line():
    path = curve(np.array([(0, 0), (1, 2), (3, 6), (4, 8)], float))
    assert np.allclose(path[:, 1], 2 * path[:, 0])


def test_neighbours_among_mnist_recognise_most_of_it(mnist_dir):
    """Independent of our network: three nearest of 10,000 real digits, which hold few of these ways of writing."""
    real = obtain("mnist", source="local", local_dir=str(mnist_dir))
    near = KNeighborsClassifier(3).fit(real.train_images[:10_000].reshape(-1, 784) / 255, real.train_labels[:10_000])
    images, labels = synthesize(500, DIGITS, 0)
    assert near.score(images.reshape(-1, 784) / 255, labels) > 0.75


def test_another_version_is_the_same_drawing_by_another_day():
    noise = np.random.default_rng(0)
    for strokes in examples():
        versions = [vary_drawing([s * 7 + 1000 for s in strokes], noise).ravel() for _ in range(6)]
        ood_score = np.corrcoef(versions)
        assert 0.35 < ood_score[np.triu_indices(6, 1)].mean() < 0.999


def test_a_dot_has_versions_too():
    assert vary_drawing([np.array([[3.0, 3.0]])], np.random.default_rng(0)).any()
