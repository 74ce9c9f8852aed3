"""Canny's edges on steps with an exact edge, and hysteresis by hand."""

import numpy as np
import pytest
from scipy import ndimage

from mnistlib.evaluation.canny import canny, hysteresis


@pytest.mark.parametrize("turn", [lambda i: i, lambda i: i.transpose(0, 2, 1), lambda i: i[:, :, ::-1]])
def test_canny_finds_a_step_where_it_is_one_pixel_thin(turn):
    step = np.zeros((1, 28, 28), np.float32)
    step[:, :, 10:] = 0.6
    step[:, :, 10] = 0.3
    expected = np.zeros((1, 28, 28), bool)
    expected[:, 1:-1, 10] = True
    assert np.array_equal(canny(turn(step)), turn(expected))


def test_canny_takes_a_slanting_edge_in_one_piece():
    y, x = np.mgrid[:28, :28]
    slant = (x + 0.5 * y - 20).clip(0, 1).astype(np.float32)[None]
    edges = canny(slant)[0]
    assert (np.abs(20.5 - 0.5 * y - x)[edges] < 1).all()
    assert (edges[1:-1].sum(1) >= 1).all()
    assert edges.sum() < 2 * 26


def test_cannys_thresholds_are_on_sobels_sum():
    # Half a step, then the other half: after a Gaussian of σ 1 the sum is 4 · (0.399 + 0.242) = 2.564 times the step.
    step = np.zeros((3, 28, 28), np.float32)
    upper, lower = [0.07, 0.09, 0.09], [0.07, 0.05, 0.03]
    for image, high, low in zip(step, upper, lower, strict=True):
        image[:14, 10:], image[14:, 10:] = high, low
        image[:, 10] /= 2
    below = canny(step)[:, 17:-1, 10]
    assert [bool(b.any()) for b in below] == [False, True, False]
    assert below[1].all()


def one_by_one(image: np.ndarray) -> np.ndarray:
    """Canny's edges of one picture, pixel by pixel, with SciPy's Sobel and its interpolation along the gradient."""
    inside = ndimage.gaussian_filter(np.ones(image.shape), 1.0, mode="constant")  # the Gaussian's share in the picture
    smooth = ndimage.gaussian_filter(image, 1.0, mode="constant") / inside
    down, right = (ndimage.sobel(smooth, axis=axis, mode="nearest") for axis in (0, 1))
    strength = np.hypot(down, right)
    edges = np.zeros(image.shape, int)
    for y, x in np.ndindex(*image.shape):
        if strength[y, x] < 0.1 or not (0 < y < 27 and 0 < x < 27):
            continue
        # To where the gradient's line crosses the square of the eight pixels around.
        step = np.array([down[y, x], right[y, x]]) / max(abs(down[y, x]), abs(right[y, x]))
        sides = np.array([y, x]) + np.outer((1, -1), step)
        edges[y, x] = strength[y, x] >= ndimage.map_coordinates(strength, sides.T, order=1).max()
    pieces, count = ndimage.label(edges, np.ones((3, 3)))
    strong = [piece for piece in range(1, count + 1) if strength[(pieces == piece)].max() >= 0.2]
    return np.isin(pieces, strong)


def test_canny_is_that_which_goes_pixel_by_pixel():
    noise = np.random.default_rng(0).random((12, 28, 28))
    faint = np.linspace(0.1, 1, 12)[:, None, None]
    images = (faint * (ndimage.gaussian_filter(noise, 2, axes=(1, 2)) - 0.45).clip(0, 0.1) * 10).astype(np.float32)
    images[6:, :, :9] += 0.4  # ink that crosses the border
    expected = np.stack([one_by_one(image.astype(float)) for image in images])
    assert expected.any((1, 2)).sum() > 8
    assert np.array_equal(canny(images), expected)


def test_the_border_is_the_pictures_own_mean_not_black():
    assert not canny(np.full((1, 28, 28), 0.9, np.float32)).any()


def test_hysteresis_by_hand():
    weak, strong = np.zeros((2, 2, 5, 7), bool)
    weak[0, 1, 1:4] = weak[0, 2, 4] = weak[0, 4, 0] = weak[1, 1, 1:4] = True
    strong[0, 2, 4] = True
    kept = hysteresis(weak, strong)
    assert kept.sum() == 4
    assert kept[0, 1, 1:4].all()
    assert kept[0, 2, 4]
    assert not hysteresis(weak, np.zeros_like(weak)).any()
