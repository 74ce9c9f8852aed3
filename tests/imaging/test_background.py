"""Separating ink from paper: the running extremes against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from mnistlib.imaging.background import border, closing, opening, subtract_background


@pytest.fixture(params=[(40, 40), (33, 90), (7, 5)])
def grey(request) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, request.param, np.uint8)


@pytest.mark.parametrize(("ours", "oracle"), [(closing, ndimage.grey_closing), (opening, ndimage.grey_opening)])
def test_closing_and_opening_are_those_of_scipy_on_a_picture_without_end(grey, ours, oracle):
    reach = max(1, round(min(grey.shape) * 0.15))
    wide = oracle(np.pad(grey, 3 * reach, mode="edge"), 2 * reach + 1)
    assert np.array_equal(ours(grey), wide[3 * reach : -3 * reach, 3 * reach : -3 * reach])


def test_dark_ink_is_the_share_of_light_it_takes_and_bright_ink_what_it_adds():
    light = np.tile(np.where(np.arange(60) < 30, 240, 120).astype(np.uint8), (60, 1))
    dark, bright = light.copy(), np.full((60, 60), 40, np.uint8)
    for across in (14, 44):
        dark[20:40, across : across + 3] //= 3
        bright[20:40, across : across + 3] = 90
    for grey, ink in ((dark, 170), (bright, 50)):
        raised = subtract_background(grey)
        assert raised[25, [15, 45]] == pytest.approx(ink, abs=0.01)
        assert raised[25, [5, 22, 36, 55]] == pytest.approx(0, abs=0.01)


def test_the_border_is_all_four_sides():
    assert sorted(set(border(np.arange(20).reshape(4, 5)))) == [0, 1, 2, 3, 4, 5, 9, 10, 14, 15, 16, 17, 18, 19]
