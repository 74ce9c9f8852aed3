"""What is returned: the prediction for one image, and the numbers on a page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Attributes:
        digit: the most probable class.
        probabilities: calibrated, float64, one per class.
        accepted: whether both thresholds are reached.
        image: the network's input, uint8 28×28, ink bright.
        rejection_reason: why it is rejected; empty when it is accepted.
    """

    digit: int
    probabilities: np.ndarray
    accepted: bool
    image: np.ndarray
    rejection_reason: str = ""

    @property
    def confidence(self) -> float:
        """Return the probability of the predicted class, 0…1."""
        return float(self.probabilities.max())


@dataclass(frozen=True)
class Digit:
    """A digit on a page.

    Attributes:
        box: left, top, right and bottom in the picture's own pixels, held upright.
        prediction: of the digit.
        cell: row and column of its printed box, counted from 0; None without boxes.
    """

    box: Box
    prediction: Prediction
    cell: tuple[int, int] | None = None


@dataclass(frozen=True)
class Number:
    """Neighbouring digits of one line, from left to right; in a form or sudoku, a row of boxes."""

    digits: tuple[Digit, ...]

    @property
    def text(self) -> str:
        """Return the digits, with ? for each that is not accepted."""
        return "".join(str(d.prediction.digit) if d.prediction.accepted else "?" for d in self.digits)


@dataclass(frozen=True)
class Page:
    """What was read on a page.

    Attributes:
        numbers: in reading order.
        left_out: how many pieces of ink of each kind are no digits.
        empty: row and column of each empty printed box, counted from 0.
    """

    numbers: tuple[Number, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    empty: tuple[tuple[int, int], ...] = ()

    @property
    def digits(self) -> list[Digit]:
        """Return all digits in reading order."""
        return [digit for number in self.numbers for digit in number.digits]
