"""HTML and images of the pad, as pure functions of the prediction."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.formatting import confidence_text
from mnistlib.evaluation.calibration import NOT_LIKE_A_DIGIT
from mnistlib.imaging.image_files import to_png
from mnistlib.inference.predictor import Prediction

SIDE = 280
PAPER, PEN = "#fdfcf8", "#1b1b1b"
WIDTH = SIDE / 9
ZOOM = 6

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"


def show_answer(answer: Prediction | None) -> dict[str, Any]:
    """Return the values of the pad's widgets by name; None stands for a pad without ink."""
    digit = str(answer.digit) if answer and answer.accepted else "?"
    return {"digit": digit, "caption": caption(answer), "bars": bars(answer), "saw": framed_png(answer)}


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


def framed_png(answer: Prediction | None) -> bytes:
    """Return the network's input, enlarged, as PNG; black without ink."""
    image = np.zeros((28, 28), np.uint8) if answer is None else answer.image
    return to_png(np.kron(image, np.ones((ZOOM, ZOOM), np.uint8)))


def status(text: str, kind: str) -> str:
    """Return a message as an ARIA status line; the text is escaped."""
    return f'<span role="status" aria-live="polite" class="{kind}">{escape(text)}</span>'
