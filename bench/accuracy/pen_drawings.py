"""Accuracy on real pen drawings, framed as MNIST's makers did and in two common simpler ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bench.accuracy.pendigits import Drawing, read_drawings
from mnistlib.inference.predictor import Predictor

CANVAS = 280
BRUSH = 32
TABLET = 500.0
DEVELOPMENT_WRITERS = 15


def measure_pen_drawings(predictor: Predictor, path: Path) -> dict[str, Any]:
    """Return accuracy overall, per digit, per writer and of accepted predictions, and with two simpler framings.

    Augmentation and other choices used the first fifteen writers only; the other fifteen give the reported figure.
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
    held_out = np.isin(writers, names[DEVELOPMENT_WRITERS:])
    confident = held_out & (confidence >= np.quantile(confidence[held_out], 0.05))
    return {
        "drawings": len(drawings),
        "accuracy": float(right.mean()),
        "accuracy_development_writers": float(right[~held_out].mean()),
        "accuracy_other_writers": float(right[held_out].mean()),
        "accuracy_other_writers_most_confident_95": float(right[confident].mean()),
        "accepted": float(accepted.mean()),
        "accuracy_accepted": float(right[accepted].mean()),
        "per_digit_other_writers": {str(d): float(right[held_out & (truth == d)].mean()) for d in range(10)},
        "per_writer": {str(w): float(right[writers == w].mean()) for w in names},
        "whole_canvas": accuracy_framed(predictor, drawings, truth, whole_canvas),
        "stretched_box": accuracy_framed(predictor, drawings, truth, stretched_box),
        "each_seconds": each,
    }


def accuracy_framed(
    predictor: Predictor, drawings: Sequence[Drawing], truth: np.ndarray, framing: Callable[[Drawing], Any]
) -> float:
    """Return the accuracy on drawings that `framing` turned into 28×28 pictures."""
    images = np.stack([np.asarray(framing(d), np.uint8) for d in drawings])
    return float((np.array([p.digit for p in predictor.images(images)]) == truth).mean())


def whole_canvas(drawing: Drawing) -> Image.Image:
    """Return the whole tablet scaled to 28×28."""
    return on_canvas(drawing).resize((28, 28), Image.Resampling.BOX)


def stretched_box(drawing: Drawing) -> Image.Image:
    """Return the ink's bounding box stretched to 20×20, in the middle of 28×28."""
    canvas = on_canvas(drawing)
    framed = Image.new("L", (28, 28))
    framed.paste(canvas.crop(canvas.getbbox()).resize((20, 20), Image.Resampling.BOX), (4, 4))
    return framed


def on_canvas(drawing: Drawing) -> Image.Image:
    """Return the drawing at its place on a 280×280 canvas, with a brush of 32 pixels."""
    canvas = Image.new("L", (CANVAS, CANVAS))
    pencil = ImageDraw.Draw(canvas)
    for stroke in drawing.strokes:
        points = [(x / TABLET * CANVAS, CANVAS + y / TABLET * CANVAS) for x, y in stroke]
        pencil.line(points, fill=255, width=BRUSH, joint="curve")
        for x, y in points:
            pencil.ellipse((x - BRUSH / 2, y - BRUSH / 2, x + BRUSH / 2, y + BRUSH / 2), fill=255)
    return canvas
