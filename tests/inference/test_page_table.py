"""Tables of pages: which pictures are pages, and the rows of predictions.csv and numbers.csv."""

from pathlib import Path

import numpy as np
import pytest

from mnistlib.imaging.limits import PictureError
from mnistlib.inference.page_table import (
    count_pages,
    describe_pages,
    digit_rows,
    each_digit,
    number_rows,
    read_pages,
)
from mnistlib.inference.prediction import Digit, Number, Page, Prediction
from mnistlib.inference.prediction_table import prediction_rows
from mnistlib.inference.terminal_output import outcome, prediction_lines


def predicted(digit: int, accepted: bool = True) -> Prediction:
    shares = np.full(10, 0.01)
    shares[digit] = 0.91
    return Prediction(digit, shares, accepted, np.ones((28, 28), np.uint8), "" if accepted else "not like a digit")


def number(text: str, left: int = 0) -> Number:
    return Number(
        tuple(
            Digit((left + 10 * i, 5, left + 10 * i + 8, 20), predicted(int(c) if c != "?" else 7, c != "?"))
            for i, c in enumerate(text)
        )
    )


PAGE = Page((number("20"), number("1?6", 100)), {"letter": 2}, ((0, 3),))
PATHS = [Path("one.png"), Path("page.png")]
PREDICTIONS = [predicted(4), predicted(8, accepted=False)]


class Reader:
    """Reads every picture as the same page, or fails."""

    def __init__(self, page: Page | None) -> None:
        self.page_found, self.asked = page, []

    def page(self, path: Path, layout: str) -> Page:
        self.asked.append((path.name, layout))
        if self.page_found is None:
            raise PictureError("broken")
        return self.page_found


@pytest.mark.parametrize(
    ("layout", "page", "asked", "found"),
    [
        ("auto", PAGE, ["page.png"], [1]),
        ("digit", PAGE, [], []),
        ("page", PAGE, ["one.png", "page.png"], [0, 1]),
        ("boxes", PAGE, ["one.png", "page.png"], [0, 1]),
        ("auto", Page((number("7"),)), ["page.png"], []),
        ("auto", Page((number("7??"),)), ["page.png"], []),
        ("page", Page((number("7"),)), ["one.png", "page.png"], [0, 1]),
        ("page", Page(()), ["one.png", "page.png"], []),
        ("page", None, ["one.png", "page.png"], []),
    ],
)
def test_which_pictures_are_pages(layout, page, asked, found):
    reader = Reader(page)
    assert list(read_pages(reader, PATHS, PREDICTIONS, layout)) == found
    assert [name for name, _ in reader.asked] == asked


def test_a_picture_in_a_labeled_folder_is_one_digit():
    assert read_pages(Reader(PAGE), [Path("scans/3/a.png")], PREDICTIONS[1:], "auto") == {}


def test_a_page_has_a_row_for_each_digit_and_empty_box():
    rows = digit_rows(PATHS, prediction_rows(PATHS, PREDICTIONS), {1: PAGE})
    assert [(row["file"], row["number"], row["position"], row["digit"]) for row in rows] == [
        ("one.png", "", "", 4),
        ("page.png", 1, 1, 2),
        ("page.png", 1, 2, 0),
        ("page.png", 2, 1, 1),
        ("page.png", 2, 2, 7),
        ("page.png", 2, 3, 6),
        ("page.png", 1, 4, ""),
    ]
    assert [row["accepted"] for row in rows] == [True, True, True, True, False, True, False]
    assert rows[2]["box"] == "10 5 18 20"
    assert rows[-1]["rejection_reason"] == "empty box"
    assert len({tuple(row) for row in rows}) == 1  # all rows have the same columns in the same order


def test_without_pages_the_rows_stay_as_they_are():
    rows = prediction_rows(PATHS, PREDICTIONS)
    assert digit_rows(PATHS, rows, {}) == rows
    assert (number_rows(PATHS, {}), count_pages([], {}), describe_pages(PATHS, {})) == ([], {}, "")


def test_numbers_are_whole_and_say_what_is_doubtful():
    rows = number_rows(PATHS, {1: PAGE})
    assert [(row["text"], row["accepted"], row["box"]) for row in rows] == [
        ("20", True, "0 5 18 20"),
        ("1?6", False, "100 5 128 20"),
    ]
    assert count_pages(PREDICTIONS, {1: PAGE}) == {
        "infer_accepted": 1,
        "infer_pages": 1,
        "infer_numbers": 2,
        "infer_digits": 5,
    }


def test_words_say_what_was_read_and_left_out():
    line = "a page with 2 numbers, 5 digits, 1 of its boxes empty, 2 pieces left out as outliers: 20 1?6"
    assert describe_pages(PATHS, {1: PAGE}) == f"page.png: {line}"
    assert prediction_lines(PATHS, PREDICTIONS, {1: PAGE})[1] == f"page.png  {line}"
    assert describe_pages([Path("p")] * 13, dict.fromkeys(range(13), PAGE)).endswith("\nand 3 more pages")


def test_a_page_counts_as_one_picture_accepted_if_all_of_it_is():
    rows = digit_rows(PATHS, prediction_rows(PATHS, PREDICTIONS), {1: PAGE})
    assert outcome(rows) == {"one.png": (True, True), "page.png": (True, False)}
    sure = digit_rows(PATHS, prediction_rows(PATHS, PREDICTIONS), {1: Page((number("20"),))})
    assert outcome(sure)["page.png"] == (True, True)


def test_an_empty_box_keeps_its_place_in_the_number():
    boxes = tuple(Digit((0, 0, 5, 5), predicted(d), (0, column)) for column, d in ((1, 7), (2, 3), (5, 9)))
    assert Number(boxes).text == "_73__9"


def test_each_digit_of_a_page_stands_for_itself():
    paths, predictions = each_digit(PATHS, PREDICTIONS, {1: PAGE})
    assert [path.name for path in paths] == ["one.png"] + 5 * ["page.png"]
    assert [p.digit for p in predictions] == [4, 2, 0, 1, 7, 6]
