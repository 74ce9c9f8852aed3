"""Finding what is written on: sheets, canvases and frames, and the digits that look like one."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnistlib.data.synthetic import examples
from mnistlib.imaging.framing import rasterize
from mnistlib.imaging.sheet import crop_to_sheet


def written(side: int = 80) -> np.ndarray:
    """A seven, dark on white, uint8 side×side."""
    return np.asarray(Image.fromarray(255 - rasterize(examples()[1])).resize((side, side)))


@pytest.mark.parametrize("around", [30, 90, 160])
def test_a_sheet_on_a_table_is_cut_out(around):
    scene = np.full((200, 240), around, np.uint8)
    scene[60:140, 70:150] = written()
    found = crop_to_sheet(scene)
    assert max(found.shape) <= 82
    assert np.abs(found[2:-2, 2:-2].astype(int) - written()[2:-2, 2:-2]).mean() < 15


def test_screens_within_screens_are_entered():
    scene = np.full((300, 300), 255, np.uint8)
    scene[40:260, 40:260] = 20
    scene[80:180, 80:180] = 200
    scene[90:170, 90:170] = np.where(written() < 128, 20, 200)
    assert max(crop_to_sheet(scene).shape) <= 104


def test_a_turned_note_keeps_its_own_brightness_around_it():
    scene = Image.new("L", (300, 300), 60)
    note = Image.fromarray(written(120)).rotate(20, expand=True, fillcolor=60)
    scene.paste(note, (60, 60))
    found = crop_to_sheet(np.asarray(scene))
    assert found.shape != (300, 300)
    assert np.median(np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])) > 200


def test_a_ring_around_a_digit_is_left_out():
    scene = Image.fromarray(np.pad(written(100), 60, constant_values=255))
    ImageDraw.Draw(scene).ellipse((10, 10, 210, 210), outline=0, width=6)
    assert max(crop_to_sheet(np.asarray(scene)).shape) <= 196


@pytest.mark.parametrize("digit", ["0", "thick 0", "8", "thick 8", "6", "4", "square 0"])
def test_no_digit_is_taken_for_a_sheet(digit):
    scene = np.full((200, 200), 255, np.uint8)
    width = 30 if "thick" in digit else 12
    if "square" in digit:
        cv2.rectangle(scene, (60, 40), (140, 160), 0, width)
    elif "0" in digit:
        cv2.ellipse(scene, (100, 100), (45, 70), 0, 0, 360, 0, width)
    elif "8" in digit:
        cv2.ellipse(scene, (100, 65), (30, 35), 0, 0, 360, 0, width)
        cv2.ellipse(scene, (100, 135), (38, 38), 0, 0, 360, 0, width)
    else:
        cv2.putText(scene, digit, (50, 160), cv2.FONT_HERSHEY_SIMPLEX, 5, 0, 14)
    assert crop_to_sheet(scene).shape == scene.shape


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_is_itself(level):
    empty = np.full((50, 40), level, np.uint8)
    assert np.array_equal(crop_to_sheet(empty), empty)
