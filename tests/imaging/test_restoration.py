"""Restoring corrupted pictures: what must be restored, checked by hand, and what must stay unchanged."""

import numpy as np
import pytest

from mnistlib.data.sklearn_digits import load_digits
from mnistlib.evaluation.corruptions import corrupt
from mnistlib.imaging.framing import frame, rasterize
from mnistlib.imaging.restoration import coons_patch, despeckle, estimate_background, restore, restore_digits


@pytest.fixture(scope="module")
def digits():
    _, _, images, _ = load_digits()
    return images[:100]


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The mean difference of pixels, in grey levels."""
    return float(np.abs(ours.astype(float) - theirs).mean())


def test_whole_pictures_stay_much_as_they_are(digits):
    assert apart(restore(digits), digits) < 6


@pytest.mark.parametrize(
    ("name", "share"), [("brightness", 0.2), ("stripe", 0.05), ("fog", 0.15), ("impulse_noise", 0.5)]
)
def test_spoilt_pictures_come_nearer_to_what_they_were(digits, name, share):
    corrupted = corrupt(digits, name, 0)
    assert apart(restore(corrupted), digits) < share * apart(corrupted, digits)


@pytest.mark.parametrize("name", ["glass_blur", "motion_blur"])
def test_blurred_ink_is_full_ink_again(digits, name):
    corrupted = corrupt(digits, name, 0)
    assert np.median(restore(corrupted).max((1, 2))) == 255
    assert np.median(corrupted.max((1, 2))) < 240


def test_a_negative_and_a_half_negative_are_the_picture(digits):
    assert np.array_equal(restore(255 - digits), restore(digits))
    half = digits.copy()
    half[:, :, :14] = 255 - half[:, :, :14]
    assert apart(restore(half), restore(digits)) < 10


def test_nothing_gives_nothing():
    for level in (0, 77, 255):
        assert not restore(np.full((2, 28, 28), level, np.uint8)).any()
    assert restore(np.empty((0, 28, 28), np.uint8)).shape == (0, 28, 28)


def test_a_surface_through_four_sides_is_a_plane_where_they_are():
    y, x = np.mgrid[:28, :28]
    plane = (3 * x + 2 * y + 40).astype(np.float32)[None]
    sides = (plane[:, 0], plane[:, -1], plane[:, :, 0], plane[:, :, -1])
    assert np.allclose(coons_patch(*sides), plane, atol=1e-3)


def test_paper_runs_beneath_ink_that_crosses_the_border():
    image = np.full((1, 28, 28), 90, np.float32)
    image[:, :, 12:14] = 255
    assert np.allclose(estimate_background(image), 90)


def test_a_speck_goes_and_a_line_of_one_pixel_stays():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 5, 5] = 200
    image[0, 10, 4:20] = 200
    cleaned = despeckle(image)[0]
    assert cleaned[5, 5] == 0
    assert (cleaned[10, 5:19] == 200).all()
    hole = 255 - image
    assert np.array_equal(despeckle(hole)[0], 255 - cleaned)


def test_pictures_framed_as_mnists_stay_as_they_are(digits):
    framed = np.stack([frame(image) for image in digits])
    assert np.array_equal(restore_digits(framed), framed)


def test_a_moved_digit_is_framed_and_one_with_a_line_across_stays():
    eight = rasterize([[(30, 0), (0, 25), (60, 75), (30, 100), (0, 75), (60, 25), (30, 0)]])
    moved, lined = np.roll(eight, (3, -3), (0, 1)), eight.copy()
    lined[14, 2:26] = 255
    assert apart(restore_digits(moved[None])[0], eight) < 8
    assert apart(restore_digits(255 - moved[None])[0], eight) < 8
    assert np.array_equal(restore_digits(lined[None]), restore(lined[None]))


@pytest.mark.parametrize("negative", [False, True])
def test_a_digit_that_fills_the_picture_keeps_its_strokes_and_is_framed(negative):
    tight = np.zeros((1, 28, 28), np.uint8)
    tight[:, 4:15, :3] = tight[:, 12:15] = tight[:, :, 20:23] = 255  # an open four, with strokes along the edges
    found = restore_digits(255 - tight if negative else tight)
    assert apart(found[0], frame(tight[0])) < 2
