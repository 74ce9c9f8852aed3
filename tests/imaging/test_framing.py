"""Framing, held against MNIST itself."""

import itertools

import numpy as np
import pytest
from PIL import Image

from mnistlib.data.loading import obtain
from mnistlib.imaging.framing import PEN, SIZE, barycentre, frame, rasterize, simplify


@pytest.fixture(scope="module")
def test_images(mnist_dir):
    return obtain("mnist", source="local", local_dir=str(mnist_dir)).test_images


def test_framing_gives_mnist_back(test_images):
    same = [np.array_equal(frame(image), image) for image in test_images]
    assert np.mean(same) > 0.999


def test_place_does_not_matter(test_images):
    for image in test_images[:50]:
        canvas = np.zeros((90, 120), np.uint8)
        canvas[40:68, 7:35] = image
        assert np.array_equal(frame(canvas), frame(image))


def test_size_does_not_matter(test_images):
    """Enlarged eightfold, pictures come back as they were; where the narrower side falls between two pixels of the
    square, as the mean of both, up to a pixel's shift."""
    for image in test_images[:50]:
        framed, enlarged = frame(image), frame(np.kron(image, np.ones((8, 8), np.uint8)))
        height, width = np.flatnonzero(framed.any(1)).size, np.flatnonzero(framed.any(0)).size
        along = int(height > width)
        between = (framed.astype(float) + np.roll(framed, 1, along)) / 2 if (height - width) % 2 else framed
        misses = [np.abs(np.roll(between, shift, along) - enlarged).max() for shift in (-1, 0, 1)]
        assert min(misses) <= 1


def test_centre_of_ink_lies_in_the_middle():
    drawn = np.zeros((200, 300), np.uint8)
    drawn[20:120, 210:222] = 255
    drawn[20:40, 150:222] = 255
    row, column = barycentre(frame(drawn))
    assert 14 <= row < 15
    assert 14 <= column < 15


def test_proportions_stay():
    drawn = np.zeros((100, 100), np.uint8)
    drawn[10:90, 40:60] = 255
    framed = frame(drawn)
    assert np.flatnonzero(framed.any(1)).size == 20
    assert int(framed.sum(1).max()) == pytest.approx(5 * 255, abs=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (28, 28), (2000, 3)])
def test_any_shape_becomes_28_by_28(shape):
    framed = frame(np.full(shape, 255, np.uint8))
    assert framed.shape == (SIZE, SIZE)
    assert framed.dtype == np.uint8
    assert framed.any()


def test_no_ink_is_no_picture():
    assert not frame(np.zeros((50, 50), np.uint8)).any()


def test_area_averaging_is_exact():
    pixels = np.random.default_rng(0).integers(1, 256, (40, 40)).astype(np.float32)
    means = pixels.reshape(20, 2, 20, 2).mean((1, 3))
    pil = np.asarray(Image.fromarray(pixels).resize((20, 20), Image.Resampling.BOX))
    assert np.abs(pil - means).max() < 1e-3


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((2, 2, 3)), np.array([[np.nan, 1]]), np.array([[np.inf, 1]])])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(ValueError, match="finite H×W"):
        frame(bad)


def seven(count: int = 40) -> list[np.ndarray]:
    """A 7 with a bar, two strokes."""
    t = np.linspace(0, 1, count)[:, None]
    corner = np.concatenate([t * [60, 0], [60, 0] + t * [-35, 100]])
    return [corner, np.array([[25.0, 50.0], [60.0, 50.0]])]


def test_strokes_are_framed_as_mnist():
    drawn = rasterize(seven())
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)
    assert all(14 <= b < 15 for b in barycentre(drawn))
    assert drawn.max() == 255


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0), (5, 1000), (3.7, -12345.6), (1e6, 1e7)])
def test_neither_size_nor_place_of_strokes_matters(scale, shift):
    moved = [stroke * scale + shift for stroke in seven()]
    assert np.abs(rasterize(moved).astype(int) - rasterize(seven())).max() <= 8


@pytest.mark.parametrize("scale", [1e306, 1e-299, 1.7e306])
def test_the_largest_and_smallest_numbers_are_drawn_as_others_are(scale):
    cross = [np.array([(-100.0, -40.0), (100.0, 40.0)]), np.array([(-100.0, 40.0), (100.0, -40.0)])]
    assert np.array_equal(rasterize([stroke * scale for stroke in cross]), rasterize(cross))


def test_how_many_points_a_hand_gives_does_not_matter():
    sparse, dense = rasterize(seven(5)).astype(int), rasterize(seven(5000)).astype(int)
    assert np.abs(sparse - dense).mean() < 1.5


def test_pen_width_by_the_ink_of_a_long_line():
    line = rasterize([[(0, 0), (0, 300)]])
    across = line[10:18].sum(1) / 255
    assert across == pytest.approx([PEN] * 8, abs=0.4)
    assert np.flatnonzero(line.any(1)).size == 20


def test_a_dot_is_a_dot_of_the_pens_size():
    for dot in ([[(5, 5)]], [[(5, 5), (5, 5)]], [[(0, 0), (0, 2e-313)]]):
        assert rasterize(dot).sum() / 255 == pytest.approx(np.pi * (PEN / 2) ** 2, rel=0.25)


@pytest.mark.parametrize("nothing", [[], [[]], [np.empty((0, 2))]])
def test_no_strokes_are_no_picture(nothing):
    assert not rasterize(nothing).any()


@pytest.mark.parametrize("bad", [[[(1, np.nan), (2, 2)]], [[(1, np.inf)]], [[(1, 2, 3)]], [[1, 2]]])
def test_what_is_no_drawing_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        rasterize(bad)


def test_a_million_points_and_huge_coordinates_are_drawn():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(1_000_000, 2)), axis=0)
    assert rasterize([walk]).any()
    assert rasterize([[(-1e308, 0), (1e308, 1e308)]]).any()


def test_points_on_the_way_between_others_change_nothing():
    corners = np.array([[0, 0], [60, 10], [20, 100]], float)
    dense = np.concatenate([np.linspace(a, b, 150) for a, b in itertools.pairwise(corners)])
    assert np.abs(rasterize([dense]).astype(int) - rasterize([corners])).max() <= 24


def test_a_line_there_and_back_is_that_line():
    there = [(0.0, 0.0), (30.0, 100.0)]
    assert rasterize([[*there, there[0]]]).mean() == pytest.approx(rasterize([there]).mean(), rel=0.05)


def test_a_thinned_path_stays_where_it_was_and_keeps_its_ends_and_corners():
    angle = np.linspace(0, 2 * np.pi, 400)
    ring = 60 * np.stack([np.cos(angle), np.sin(angle)], 1)
    path = np.concatenate([ring, [[0.0, 0.0], [60.0, 0.0], [0.0, 0.0]]])
    kept = simplify(path)
    assert len(kept) < len(path) / 4
    assert all((kept == point).all(1).any() for point in path[[0, -3, -2, -1]])
    fine = np.concatenate([np.linspace(a, b, 20) for a, b in itertools.pairwise(kept)])
    assert max(np.hypot(*(fine - point).T).min() for point in path) < 1
