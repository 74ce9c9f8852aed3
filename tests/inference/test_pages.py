"""Pages of numbers, composed from stroke templates and read by the most similar template instead of a network."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mnistlib.data.pen_strokes import digit_templates
from mnistlib.data.synthetic import smooth
from mnistlib.imaging.framing import rasterize
from mnistlib.imaging.limits import PictureError
from mnistlib.inference.pages import read_picture
from mnistlib.inference.prediction import Page, Prediction

FORMS = [
    (digit, [smooth(stroke) for stroke in strokes])
    for digit, variants in sorted(digit_templates().items())
    for strokes in variants.values()
]
FRAMED = np.stack([rasterize(strokes).ravel() for _, strokes in FORMS]).astype(float)
USUAL = [next(strokes for digit, strokes in FORMS if digit == wanted) for wanted in range(10)]


def classify(images: np.ndarray) -> list[Prediction]:
    """Predict the digit whose template correlates best; accepted from 0.8 on."""
    flat = images.reshape(len(images), -1).astype(float)
    likeness = np.corrcoef(np.concatenate([flat, FRAMED]))[: len(flat), len(flat) :]
    best = likeness.argmax(1)
    predictions = []
    for row, image, i in zip(likeness, images, best, strict=True):
        sure = float(np.clip(row[i], 0.1, 0.99))
        shares = np.full(10, (1 - sure) / 9)
        shares[FORMS[i][0]] = sure
        accepted = row[i] > 0.8
        predictions.append(Prediction(FORMS[i][0], shares, accepted, image, "" if accepted else "not like a digit"))
    return predictions


def draw(page: np.ndarray, text: str, left: int, base: int, height: int = 60, slope: float = 0.0) -> list[list[int]]:
    """Write digits on a page in place; return the box of each: left, top, right, bottom."""
    boxes = []
    for i, character in enumerate(text):
        strokes = USUAL[int(character)]
        points = np.concatenate(strokes)
        scale = height / np.ptp(points[:, 1])
        x, y = left + 1.1 * height * i, base - height + slope * height * i
        placed = [np.rint((stroke - points.min(0)) * scale + [x, y]).astype(np.int32) for stroke in strokes]
        for stroke in placed:
            cv2.polylines(page, [stroke], False, 40, 5, cv2.LINE_AA)
        ink = np.concatenate(placed)
        boxes.append([*ink.min(0), *ink.max(0)])
    return boxes


def paper() -> np.ndarray:
    return np.full((420, 900), 235, np.uint8)


def texts(page: Page) -> list[str]:
    return [number.text for number in page.numbers]


def test_numbers_are_read_in_order_with_their_boxes():
    page = paper()
    expected = draw(page, "4073", 40, 120) + draw(page, "25", 500, 125) + draw(page, "9826", 60, 300, slope=0.1)
    found = read_picture(classify, page)
    assert texts(found) == ["4073", "25", "9826"]
    for digit, box in zip(found.digits, expected, strict=True):
        assert np.abs(np.array(digit.box) - box).max() <= 12


@pytest.mark.parametrize("lines", ["level", "both"])
def test_the_papers_lines_are_not_read(lines):
    page = paper()
    for row in range(30, 420, 60):
        page[row : row + 2] = 170
    for column in range(20, 900, 60) if lines == "both" else ():
        page[:, column : column + 2] = 170
    draw(page, "2357", 70, 145, height=75)
    assert texts(read_picture(classify, page)) == ["2357"]


def test_light_on_one_side_and_a_shadow_change_nothing():
    page = paper()
    draw(page, "6294", 200, 220)
    shaded = page * np.linspace(1, 0.55, 900)
    shaded[:, 400:] *= 0.8
    assert texts(read_picture(classify, shaded.astype(np.uint8))) == ["6294"]


def test_dashes_and_specks_are_left_out_and_counted():
    page = paper()
    draw(page, "38", 60, 200)
    draw(page, "52", 420, 200)
    cv2.line(page, (260, 170), (320, 170), 40, 5)
    found = read_picture(classify, page)
    assert texts(found) == ["38", "52"]
    assert sum(found.left_out.values()) == 1


def test_boxes_are_in_the_pixels_of_the_file_held_upright(tmp_path):
    page = paper()
    (box,) = draw(page, "7", 300, 200, height=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(page).rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    large = cv2.resize(page, None, fx=3, fy=3)
    Image.fromarray(large).save(tmp_path / "large.png")
    for name, scale in (("turned.jpg", 1), ("large.png", 3)):
        (digit,) = read_picture(classify, tmp_path / name).digits
        assert np.abs(np.array(digit.box) - scale * np.array(box)).max() <= 12 * scale


def test_a_form_has_a_digit_in_each_box_and_empty_boxes_are_told():
    page = paper()
    for column in range(8):
        cv2.rectangle(page, (60 + 90 * column, 100), (150 + 90 * column, 200), 90, 3)
    for column, digit in ((0, "4"), (1, "2"), (4, "7"), (7, "3")):
        draw(page, digit, 85 + 90 * column, 185, height=65)
    found = read_picture(classify, page, "boxes")
    assert texts(found) == ["42__7__3"]
    assert found.empty == ((0, 2), (0, 3), (0, 5), (0, 6))


def test_an_empty_page_has_no_numbers():
    assert read_picture(classify, paper()) == Page(())


def test_bad_input_is_refused_by_name(tmp_path):
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(PictureError, match=r"note\.txt cannot be read: not a picture"):
        read_picture(classify, tmp_path / "note.txt")
    for bad in (np.zeros((5, 5)), np.zeros((5, 5, 4), np.uint8), np.zeros(5, np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            read_picture(classify, bad)
