"""A person's drawings: saved with their predictions, and scored again by later models."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest, read_json, shown, write_bytes, write_json
from mnistlib.data.datasets import shows_digits
from mnistlib.data.synthetic import examples
from mnistlib.imaging.framing import rasterize
from mnistlib.imaging.image_files import to_png
from mnistlib.inference.predictor import Prediction, Predictor
from mnistlib.runs.layout import HANDWRITING, Run

Strokes = list[list[list[float]]]
LARGEST = 2_000_000  # bytes of a drawing; an hour of drawing takes less


@dataclass(frozen=True)
class Drawing:
    """A drawing and its prediction.

    Attributes:
        strokes: lists of [x, y], y down.
        digit, probabilities, accepted: the prediction when it was drawn.
        model: SHA-256 of the model's weights, in hex.
        label: the correct digit according to the person, None until then.
        drawn_at: ISO 8601.
    """

    strokes: Strokes
    digit: int
    probabilities: list[float]
    accepted: bool
    model: str
    label: int | None = None
    drawn_at: str = ""

    @property
    def name(self) -> str:
        """Return a name that depends on the strokes alone, so that nothing is saved twice."""
        return bytes_digest(repr(self.strokes).encode())[:12]

    @property
    def image(self) -> np.ndarray:
        """Return the strokes framed as in MNIST, uint8 28×28."""
        return rasterize(self.strokes)


DRAWING = TypeAdapter(Drawing)


def describe_drawing(strokes: Sequence[Sequence[Sequence[float]]], answer: Prediction, model: str) -> Drawing:
    """Return strokes with their prediction as a `Drawing` without a label; `model` is the weights' SHA-256."""
    exact = [[[float(x), float(y)] for x, y in stroke] for stroke in strokes]
    probabilities = [round(float(p), 6) for p in answer.probabilities]
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return Drawing(exact, answer.digit, probabilities, answer.accepted, model, None, moment)


def save_drawing(run: Run, drawing: Drawing) -> tuple[Path, bool]:
    """Save a drawing atomically as a folder in `data/inference/drawings/`.

    Returns:
        The folder, and whether it is new: equal strokes are saved once.

    Raises:
        RunError: when it cannot be written.
    """
    folder = run.drawings / drawing.name
    if folder.is_dir():
        return folder, False
    temporary = None
    try:
        run.drawings.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=run.drawings))
        temporary.chmod(0o755)
        write_json(temporary / "drawing.json", asdict(drawing))
        write_bytes(temporary / "picture.png", to_png(drawing.image))
        temporary.rename(folder)
    except OSError as error:
        if folder.is_dir():  # another process has saved it meanwhile
            return folder, False
        raise RunError(f"cannot save the drawing in {shown(run.drawings)}: {error.strerror}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder, True


def save_label(folder: Path, label: int) -> Drawing:
    """Save the correct digit of a saved drawing, there and in `runs/handwriting/`. Raises RunError."""
    drawing = replace(read_drawing(folder / "drawing.json"), label=label)
    write_json(HANDWRITING / f"{drawing.name}.json", asdict(drawing))
    write_json(folder / "drawing.json", asdict(drawing))
    return drawing


def read_drawing(path: Path) -> Drawing:
    """Read a saved drawing. Raises RunError, naming the file, when it is damaged."""
    content = read_json(path, hint="move the file away to go on without it", most=LARGEST)
    try:
        DRAWING.validate_json(json.dumps(content), strict=True)
        drawing = Drawing(**content)
        if not drawing.image.any():
            raise ValueError("it has no ink")
        if not {drawing.digit, drawing.label} <= {None, *range(10)}:
            raise ValueError("digit and label are whole numbers from 0 to 9")
    except (TypeError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{shown(path)} is not a drawing ({reason}): move the file away to go on without it") from error
    return drawing


def load_drawings(run: Run) -> list[Drawing]:
    """Return the drawings of a run, oldest first. Raises RunError."""
    return in_order(read_drawing(path) for path in run.drawings.glob("[!.]*/drawing.json") if path.is_file())


def drawings_to_show(run: Run, predictor: Predictor) -> list[tuple[Strokes, Prediction]]:
    """Return the strokes drawn in a run, or else examples, each with its prediction now.

    Raises:
        RunError: when a saved drawing is damaged.
    """
    strokes = [drawing.strokes for drawing in load_drawings(run)]
    shown = strokes or [[stroke.tolist() for stroke in drawing] for drawing in examples()]
    return [(drawing, predictor.strokes(drawing)) for drawing in shown]


def load_handwriting(folder: Path = HANDWRITING) -> list[Drawing]:
    """Return all drawings with a label, from `runs/handwriting/`, oldest first. Raises RunError."""
    saved = (read_drawing(path) for path in folder.glob("*.json") if path.is_file())
    return in_order(drawing for drawing in saved if drawing.label is not None)


def in_order(drawings: Any) -> list[Drawing]:
    return sorted(drawings, key=lambda drawing: (drawing.drawn_at, drawing.name))


def rescore(predictor: Predictor, drawings: Sequence[Drawing]) -> list[dict[str, object]]:
    """Return one row per labelled drawing: label, prediction when drawn, prediction now, and what changed.

    Args:
        predictor: the model to score; no rows when its classes are not digits.
        drawings: with labels.
    """
    if not drawings or not shows_digits(predictor.dataset):
        return []
    answers = predictor.images(np.stack([d.image for d in drawings]))
    return [
        {
            "drawing": d.name,
            "digit": d.label,
            "then": d.digit,
            "now": p.digit,
            "probability": round(p.confidence, 4),
            "change": change(d.digit == d.label, p.digit == d.label),
        }
        for d, p in zip(drawings, answers, strict=True)
    ]


def change(then: bool, now: bool) -> str:
    """Return how a drawing's prediction changed with a new model."""
    if then == now:
        return "" if now else "still wrong"
    return "won" if now else "lost"


def handwriting_metrics(rows: Sequence[dict[str, object]]) -> dict[str, int]:
    """Return by metric name how many drawings there are, are right, were won and lost; {} for no rows."""
    if not rows:
        return {}
    counts = {name: sum(row["change"] == name for row in rows) for name in ("won", "lost")}
    right = sum(row["now"] == row["digit"] for row in rows)
    return {"handwriting_count": len(rows), "handwriting_right": right} | {
        f"handwriting_{k}": n for k, n in counts.items()
    }
