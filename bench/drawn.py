"""Drawn digits: how many real pen drawings are recognised, framed as MNIST's makers did and in the usual ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bench.pendigits import Drawing, read_drawings
from mnistlib.inference.predictor import Predictor

CANVAS = 280
BRUSH = 32
TABLET = 500.0
DEVELOPMENT_WRITERS = 15


def measure_drawn(predictor: Predictor, path: Path) -> dict[str, Any]:
    """Accuracy overall, per digit, per writer and among the accepted; the two usual framings beside it.

    Distortions and the like are chosen by the first fifteen writers alone; the other fifteen are the report's figure.
    """
    drawings = read_drawings(path)
    truth = np.array([d.digit for d in drawings])
    writers = np.array([d.writer for d in drawings])
    began = time.perf_counter()
    predictions = [predictor.strokes(d.strokes) for d in drawings]
    each = (time.perf_counter() - began) / len(drawings)
    right = np.array([p.digit for p in predictions]) == truth
    accepted = np.array([p.accepted for p in predictions])
    confidence = np.array([p.confidence for p in predictions])
    names = sorted(set(writers.tolist()))
    kept = np.isin(writers, names[DEVELOPMENT_WRITERS:])
    trusted = kept & (confidence >= np.quantile(confidence[kept], 0.05))
    return {
        "drawings": len(drawings),
        "accuracy": float(right.mean()),
        "accuracy_development_writers": float(right[~kept].mean()),
        "accuracy_other_writers": float(right[kept].mean()),
        "accuracy_other_writers_most_trusted_95": float(right[trusted].mean()),
        "accepted": float(accepted.mean()),
        "accuracy_accepted": float(right[accepted].mean()),
        "per_digit_other_writers": {str(d): float(right[kept & (truth == d)].mean()) for d in range(10)},
        "per_writer": {str(w): float(right[writers == w].mean()) for w in names},
        "whole_canvas": usual(predictor, drawings, truth, whole_canvas),
        "stretched_box": usual(predictor, drawings, truth, stretched_box),
        "each_seconds": each,
    }


def usual(
    predictor: Predictor, drawings: Sequence[Drawing], truth: np.ndarray, framing: Callable[[Drawing], Any]
) -> float:
    """Accuracy with another framing."""
    images = np.stack([np.asarray(framing(d), np.uint8) for d in drawings])
    return float((np.array([p.digit for p in predictor.images(images)]) == truth).mean())


def whole_canvas(drawing: Drawing) -> Image.Image:
    """The tablet as it is, scaled to 28×28."""
    return on_canvas(drawing).resize((28, 28), Image.Resampling.BOX)


def stretched_box(drawing: Drawing) -> Image.Image:
    """The ink's bounding box stretched to 20×20, in the middle."""
    canvas = on_canvas(drawing)
    framed = Image.new("L", (28, 28))
    framed.paste(canvas.crop(canvas.getbbox()).resize((20, 20), Image.Resampling.BOX), (4, 4))
    return framed


def on_canvas(drawing: Drawing) -> Image.Image:
    """The drawing where it was made, on a pad of 280×280 with a brush of 32."""
    canvas = Image.new("L", (CANVAS, CANVAS))
    pencil = ImageDraw.Draw(canvas)
    for stroke in drawing.strokes:
        points = [(x / TABLET * CANVAS, CANVAS + y / TABLET * CANVAS) for x, y in stroke]
        pencil.line(points, fill=255, width=BRUSH, joint="curve")
        for x, y in points:
            pencil.ellipse((x - BRUSH / 2, y - BRUSH / 2, x + BRUSH / 2, y + BRUSH / 2), fill=255)
    return canvas
