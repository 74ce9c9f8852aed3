"""Framing, held against MNIST itself."""

import numpy as np
import pytest
from PIL import Image

from mnistlib.data import obtain
from mnistlib.ink import SIZE, barycentre, frame


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
    """Enlarged pictures come back alike, up to where a pixel's edge falls along the narrower side."""
    for image in test_images[:50]:
        enlarged = frame(np.kron(image, np.ones((7, 7), np.uint8))).astype(float)
        assert np.corrcoef(enlarged.ravel(), frame(image).ravel())[0, 1] > 0.95
        assert np.abs(enlarged.sum(1) - frame(image).sum(1)).max() <= 28


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
