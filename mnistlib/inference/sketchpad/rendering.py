"""HTML and images of the pad, as pure functions of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.formatting import confidence_text
from mnistlib.evaluation.calibration import NOT_LIKE_A_DIGIT
from mnistlib.imaging.image_files import to_png
from mnistlib.inference.prediction import Number
from mnistlib.inference.predictor import Prediction

SIDE = 280
PAPER, PEN, BOX = "#fdfcf8", "#1b1b1b", "#2b6cb0"
WIDTH = SIDE / 9
ZOOM = 6
LONG = 4  # more digits are shown smaller
LABEL_HINT = "Wrong? Click the correct digit; make teach fine-tunes on it."
SEVERAL_HINT = "To save or correct a drawing, draw one digit alone."

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"


def show_answer(number: Number) -> dict[str, Any]:
    """Return the values of the pad's widgets by name; a number without digits stands for a pad without ink."""
    answers = [digit.prediction for digit in number.digits]
    if len(answers) > 1:
        digit = f'<span class="long">{number.text}</span>' if len(answers) > LONG else number.text
        words = {"digit": digit, "caption": f"{len(answers)} digits", "bars": lines(answers), "hint": SEVERAL_HINT}
    else:
        answer = answers[0] if answers else None
        words = {"digit": number.text or "?", "caption": caption(answer), "bars": bars(answer), "hint": LABEL_HINT}
    return words | {"saw": framed_png(answers)}


def lines(answers: Sequence[Prediction]) -> str:
    """Return a row per digit of a number: the digit and its caption."""
    shown = ((answer.digit if answer.accepted else "?", caption(answer)) for answer in answers)
    return "".join(f'<div class="sketchpad-bar"><b>{digit}</b><span>{words}</span></div>' for digit, words in shown)


def caption(answer: Prediction | None) -> str:
    """Return the confidence or the rejection reason in a few words."""
    if answer is None:
        return "no ink yet"
    if answer.accepted:
        return f"{confidence_text(answer.confidence)} sure"
    if answer.rejection_reason == NOT_LIKE_A_DIGIT:
        return "this is not a digit"
    return f"not a clear digit; perhaps {answer.digit}" if answer.image.any() else escape(answer.rejection_reason)


def bars(answer: Prediction | None) -> str:
    """Return ten rows, one per digit, with a bar as long as its probability."""
    probabilities = np.zeros(10) if answer is None else answer.probabilities
    best = -1 if answer is None else answer.digit
    rows = (
        f'<div class="sketchpad-bar{" best" if digit == best else ""}" title="{digit}: {confidence_text(p)}">'
        f'<i style="width:{150 * p:.0f}px"></i><span>{confidence_text(p)}</span></div>'
        for digit, p in enumerate(probabilities)
    )
    return "".join(rows)


def framed_png(answers: Sequence[Prediction]) -> bytes:
    """Return the network's inputs in a square of rows, enlarged, as PNG; black without ink."""
    side = max(1, ceil(len(answers) ** 0.5))
    images = np.zeros((side * side, 28, 28), np.uint8)
    for image, answer in zip(images, answers, strict=False):
        image[:] = answer.image
    square = images.reshape(side, side, 28, 28).swapaxes(1, 2).reshape(side * 28, side * 28)
    return to_png(np.kron(square, np.ones((ZOOM, ZOOM), np.uint8)))


def status(text: str, kind: str) -> str:
    """Return a message as an ARIA status line; the text is escaped."""
    return f'<span role="status" aria-live="polite" class="{kind}">{escape(text)}</span>'
