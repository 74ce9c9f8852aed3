"""Read UCI's "Pen-Based Recognition of Handwritten Digits" (original UNIPEN text); for evaluation, never training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Drawing:
    """A digit, its writer, and its strokes: float64 N×2 in tablet units, y down."""

    digit: int
    writer: int
    strokes: list[np.ndarray]


def read_drawings(path: Path) -> list[Drawing]:
    """Return every drawing of the file, in its order.

    Raises:
        ValueError: a line is not in the expected format.
    """
    drawings: list[Drawing] = []
    for block in path.read_text(encoding="ascii").split(".SEGMENT DIGIT")[1:]:
        lines = block.splitlines()
        digit = int(lines[0].split('"')[1])
        (comment,) = [line.split()[1:] for line in lines if line.startswith(".COMMENT")]
        drawings.append(Drawing(digit, int(comment[1]), read_strokes(lines)))
    return drawings


def read_strokes(lines: list[str]) -> list[np.ndarray]:
    """Return the points between each .PEN_DOWN and .PEN_UP, with y turned to point down."""
    strokes: list[list[tuple[float, float]]] = []
    down = False
    for line in lines:
        if line.startswith(".PEN_DOWN"):
            down = True
            strokes.append([])
        elif line.startswith("."):
            down = False
        elif down and line.strip():
            x, y = map(float, line.split())
            strokes[-1].append((x, -y))
    return [np.array(stroke) for stroke in strokes if stroke]
