"""Stroke widths: what was drawn with any pen is as wide as MNIST's strokes."""

import cv2
import numpy as np
import pytest

from mnistlib.data.synthetic import examples
from mnistlib.imaging.framing import frame, rasterize
from mnistlib.imaging.stroke_width import THICKEST, THINNEST, normalize_stroke_width, stroke_width


def drawn(pen: int, side: int = 300) -> np.ndarray:
    """A barred seven, `side` pixels high without the pen's width, bright on black."""
    strokes = examples()[1]
    points = np.concatenate(strokes)
    scale = side / np.ptp(points, axis=0).max()
    page = np.zeros((side + 200, side + 200), np.uint8)
    for stroke in strokes:
        path = np.rint((stroke - points.min(0)) * scale + 100).astype(np.int32)
        cv2.polylines(page, [path], False, 255, pen, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("width", [2, 3, 8, 21])
def test_the_width_of_a_bar_is_measured(width):
    bar = np.zeros((300, 100), np.uint8)
    bar[20:280, 30 : 30 + width] = 1
    assert stroke_width(bar) == pytest.approx(width, rel=0.12, abs=0.4)


@pytest.mark.parametrize("pen", [1, 2, 5, 12])
def test_a_thin_pen_is_widened_to_mnists_width(pen):
    wide = normalize_stroke_width(drawn(pen))
    rows = np.flatnonzero(wide.max(1) > 128)
    measured = stroke_width((wide > 128).astype(np.uint8)) / (rows[-1] - rows[0] + 1)
    assert measured == pytest.approx(THINNEST, abs=0.03)
    assert np.corrcoef(frame(wide).ravel(), rasterize(examples()[1]).ravel())[0, 1] > 0.85


def test_a_thick_pen_is_thinned():
    thick = drawn(90)
    thinned = normalize_stroke_width(thick)
    ratios = []
    for ink in (thick, thinned):
        rows = np.flatnonzero(ink.max(1) > 128)
        ratios.append(stroke_width((ink > 128).astype(np.uint8)) / (rows[-1] - rows[0] + 1))
    assert ratios[0] > THICKEST > ratios[1] - 0.03


def test_usual_strokes_and_empty_pictures_stay_as_they_are():
    for ink in (drawn(45), np.zeros((40, 30), np.uint8)):
        assert np.array_equal(normalize_stroke_width(ink), ink)


def test_a_picture_of_one_pixel_row_is_no_crash():
    line = np.zeros((200, 2), np.uint8)
    line[10:190, 1] = 255
    assert normalize_stroke_width(line).max() > 0


def test_a_squeezed_eight_is_widened_and_a_one_is_not():
    page = np.zeros((300, 100), np.uint8)
    for middle in (80, 200):
        cv2.ellipse(page, (50, middle), (18, 62), 0, 0, 360, 255, 3, cv2.LINE_AA)
    one = np.zeros((300, 100), np.uint8)
    cv2.line(one, (50, 20), (50, 260), 255, 3, cv2.LINE_AA)
    cv2.line(one, (50, 20), (20, 70), 255, 3, cv2.LINE_AA)
    for ink, narrowest, widest in ((page, 0.4, 0.7), (one, 0.1, 0.3)):
        rows, columns = (np.flatnonzero((normalize_stroke_width(ink) > 128).any(axis)) for axis in (1, 0))
        assert narrowest < (np.ptp(columns) + 1) / (np.ptp(rows) + 1) < widest
