"""Pages among a run's input files: which pictures hold several digits, and the tables of what was read on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mnistlib.core.files import printable, shown
from mnistlib.core.formatting import counted
from mnistlib.imaging.limits import PictureError
from mnistlib.inference.batch_summary import folder_label
from mnistlib.inference.prediction import Box, Number, Page, Prediction
from mnistlib.inference.predictor import Predictor

EMPTY = "empty box"
LISTED = 10  # pages, and numbers of a page, that are printed

Row = dict[str, object]


def read_pages(
    predictor: Predictor,
    paths: Sequence[Path],
    predictions: Sequence[Prediction],
    layout: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Page]:
    """Read the pictures that are pages, one at a time.

    Args:
        predictor: a trained run's.
        paths: the pictures.
        predictions: of each picture as one digit.
        layout: digit: no picture is a page. page, boxes: each is. auto: those that are rejected as one digit, in no
            folder named after a digit, on which at least two digits are read, most of them accepted.
        on_progress: called with (pictures done, pictures in all) after each.

    Returns:
        The pages, by their index in `paths`.
    """
    pages: dict[int, Page] = {}
    for i, (path, prediction) in enumerate(zip(paths, predictions, strict=True)):
        surely_one = prediction.accepted or not prediction.image.any() or folder_label(path)
        if layout == "digit" or (layout == "auto" and surely_one):
            continue
        try:
            page = predictor.page(path, layout)
        except PictureError:  # its row says why
            continue
        accepted = sum(digit.prediction.accepted for digit in page.digits)
        if page.digits and (layout != "auto" or (len(page.digits) > 1 and accepted > len(page.digits) / 2)):
            pages[i] = page
        on_progress(i + 1, len(paths))
    return pages


def each_digit(
    paths: Sequence[Path], predictions: Sequence[Prediction], pages: Mapping[int, Page]
) -> tuple[list[Path], list[Prediction]]:
    """Return paths and predictions with each page replaced by its digits."""
    pairs = [
        (path, each)
        for i, (path, prediction) in enumerate(zip(paths, predictions, strict=True))
        for each in ([digit.prediction for digit in pages[i].digits] if i in pages else [prediction])
    ]
    return [path for path, _ in pairs], [prediction for _, prediction in pairs]


def digit_rows(paths: Sequence[Path], rows: Sequence[Row], pages: Mapping[int, Page]) -> list[Row]:
    """Return the rows of `predictions.csv`: one for a picture of one digit, one for each digit and empty box of a page.

    Without pages these are `rows`; else each row also has number and position, counted from 1, and the digit's box.
    """
    if not pages:
        return list(rows)
    found: list[Row] = []
    for i, row in enumerate(rows):
        if i not in pages:
            found.append(row | {"number": "", "position": "", "box": ""})
            continue
        for n, number in enumerate(pages[i].numbers, 1):
            for place, digit in enumerate(number.digits, 1):
                p = digit.prediction
                answer = {"digit": p.digit, "probability": round(p.confidence, 6), "accepted": p.accepted}
                where = {"number": n, "position": place, "box": as_text(digit.box)}
                found.append(row | answer | {"rejection_reason": printable(p.rejection_reason)} | where)
        blank = {"digit": "", "probability": "", "accepted": False, "rejection_reason": EMPTY}
        found += [
            row | blank | {"number": line + 1, "position": column + 1, "box": ""} for line, column in pages[i].empty
        ]
    return found


def number_rows(paths: Sequence[Path], pages: Mapping[int, Page]) -> list[Row]:
    """Return the rows of `numbers.csv`: one for each number of each page, with ? for digits that are not accepted."""
    return [
        {
            "file": printable(shown(paths[i])),
            "number": n,
            "text": number.text,
            "accepted": "?" not in number.text,
            "box": as_text(around(number)),
        }
        for i, page in pages.items()
        for n, number in enumerate(page.numbers, 1)
    ]


def as_object(number: Number) -> dict[str, object]:
    """Return a number for JSON: its text, its box, and each digit with confidence and box."""
    digits = [
        {"digit": d.prediction.digit, "confidence": round(d.prediction.confidence, 6), "box": d.box}
        | {"accepted": d.prediction.accepted}
        for d in number.digits
    ]
    return {"text": number.text, "box": around(number), "digits": digits}


def around(number: Number) -> Box:
    """Return the box around all digits of a number."""
    left, top, right, bottom = zip(*(digit.box for digit in number.digits), strict=True)
    return min(left), min(top), max(right), max(bottom)


def as_text(box: Box) -> str:
    return " ".join(map(str, box))


def describe_pages(paths: Sequence[Path], pages: Mapping[int, Page]) -> str:
    """Return a line for each of the first pages: how much was read, and the numbers. Empty for no pages."""
    lines = [f"{printable(shown(paths[i]))}: {describe_page(page)}" for i, page in list(pages.items())[:LISTED]]
    more = [f"and {counted(len(pages) - LISTED, 'more page')}"] if len(pages) > LISTED else []
    return "\n".join(lines + more)


def describe_page(page: Page) -> str:
    """Return what was read on a page, and what was left out, in words."""
    texts = [number.text for number in page.numbers]
    read = f"a page with {counted(len(texts), 'number')}, {counted(len(page.digits), 'digit')}"
    left_out = sum(page.left_out.values())
    parts = [read, f"{len(page.empty)} of its boxes empty" if page.empty else ""]
    parts.append(f"{counted(left_out, 'piece')} left out as outliers" if left_out else "")
    return f"{', '.join(filter(None, parts))}: {' '.join(texts[:LISTED])}{' …' if len(texts) > LISTED else ''}"


def count_pages(predictions: Sequence[Prediction], pages: Mapping[int, Page]) -> dict[str, int]:
    """Return the metrics of the pages, and how many pictures are accepted, pages too; {} for no pages."""
    if not pages:
        return {}
    numbers = sum(len(page.numbers) for page in pages.values())
    digits = sum(len(page.digits) for page in pages.values())
    accepted = sum(p.accepted for i, p in enumerate(predictions) if i not in pages)
    accepted += sum(all(digit.prediction.accepted for digit in page.digits) for page in pages.values())
    return {"infer_accepted": accepted, "infer_pages": len(pages), "infer_numbers": numbers, "infer_digits": digits}
