"""Separating ink from paper: the extremes against SciPy's, and digits on all kinds of paper."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mnistlib.data.synthetic import examples
from mnistlib.imaging.background import border, closing, even_paper, extract_digit, opening, subtract_background
from mnistlib.imaging.framing import frame, rasterize


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


def seven_on(paper: int, ink: int) -> np.ndarray:
    """A seven of 100×100 pixels on even paper of 200×160."""
    coverage = np.asarray(Image.fromarray(rasterize(examples()[1])).resize((100, 100))) / 255
    sheet = np.full((200, 160), paper, float)
    sheet[50:150, 30:130] += coverage * (ink - paper)
    return sheet.astype(np.uint8)


def likeness(grey: np.ndarray) -> float:
    return float(np.corrcoef(frame(extract_digit(grey)).ravel(), rasterize(examples()[1]).ravel())[0, 1])


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (200, 160), (90, 130)])
def test_even_paper_has_one_level_whatever_the_ink(paper, ink):
    assert even_paper(seven_on(paper, ink)) == pytest.approx(paper, abs=2)
    assert likeness(seven_on(paper, ink)) > 0.9


def test_paper_with_a_shade_is_not_even():
    shaded = seven_on(220, 30) * np.linspace(1, 0.6, 160)
    assert even_paper(shaded.astype(np.uint8)) is None
    assert likeness(shaded.astype(np.uint8)) > 0.9


def test_a_digit_that_fills_its_picture_keeps_all_strokes():
    seven = seven_on(255, 0)
    rows, columns = (np.flatnonzero((seven < 128).any(axis)) for axis in (1, 0))
    tight = seven[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    for cut in (tight, 255 - tight, tight[2:, 2:]):
        assert likeness(cut) > 0.85


def test_faint_parts_of_a_stroke_are_ink_as_well():
    fading = 255 - (255 - seven_on(255, 0)) * np.linspace(1, 0.15, 200)[:, None]
    assert likeness(fading.astype(np.uint8)) > 0.85


def test_neighbours_at_the_edge_are_left_out_and_parts_of_the_digit_kept():
    scene = seven_on(255, 0)
    scene[60:140, 155:] = 0  # the next digit's stem
    assert likeness(scene) > 0.9
    bar = seven_on(255, 0)
    bar[:, 20:] = np.where(np.arange(200)[:, None] < 45, 255, bar[:, 20:])
    assert likeness(bar) > 0.9


def test_noise_is_averaged():
    noisy = seven_on(200, 40) + np.random.default_rng(0).normal(0, 18, (200, 160))
    assert likeness(np.clip(noisy, 0, 255).astype(np.uint8)) > 0.75
