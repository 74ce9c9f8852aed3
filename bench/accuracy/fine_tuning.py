"""Fine-tuning per writer: train on five drawings of each digit, test on the writer's other drawings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.pendigits import Drawing, read_drawings
from mnistlib.data.preprocess import load_split
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.imaging.framing import rasterize
from mnistlib.inference import drawings as handwriting
from mnistlib.inference.fine_tune import FineTuneRecipe, augment_drawings, fine_tune
from mnistlib.pipeline.fine_tune_run import rehearse
from mnistlib.runs.layout import Run
from mnistlib.training.model import DigitNet, load_model

EXAMPLES_PER_DIGIT = 5


def measure_fine_tuning(run: Run, path: Path, writer_step: int) -> dict[str, Any]:
    """Return errors before and after, on each writer's other drawings and on the validation and test sets.

    Every `writer_step`-th writer is measured.
    """
    network, lesson = load_model(run), FineTuneRecipe()
    rehearsal = rehearse(run, seed=0)
    splits = {name: load_split(run, name) for name in ("val", "test")}
    before_fine_tuning = {name: count_errors(network, *split) for name, split in splits.items()}
    drawings = read_drawings(path)
    rows = []
    for writer in sorted({d.writer for d in drawings})[::writer_step]:
        own = [d for d in drawings if d.writer == writer]
        examples = [d for digit in range(10) for d in [m for m in own if m.digit == digit][:EXAMPLES_PER_DIGIT]]
        others = [d for d in own if not any(d is s for s in examples)]
        began = time.perf_counter()
        training = augment_drawings([as_labelled(d) for d in examples], lesson.versions, seed=0)
        tuned = fine_tune(network, training, rehearsal, lesson, seed=0)
        seconds = time.perf_counter() - began
        held_out = np.stack([rasterize(d.strokes) for d in others]), np.array([d.digit for d in others])
        before, after = (count_errors(n, *held_out) for n in (network, tuned))
        errors = {"drawings": len(others), "before": before, "after": after}
        rows.append({"writer": writer, **errors, "fine_tuning_seconds": seconds})
        for name, split in splits.items():
            rows[-1][f"{name}_more_errors"] = count_errors(tuned, *split) - before_fine_tuning[name]
    total = {name: sum(row[name] for row in rows) for name in ("drawings", "before", "after")}
    return {
        "writers": len(rows),
        **total,
        "ratio": total["after"] / max(total["before"], 1),
        **{f"{name}_more_errors_mean": float(np.mean([row[f"{name}_more_errors"] for row in rows])) for name in splits},
        **{f"{name}_more_errors_worst": max(row[f"{name}_more_errors"] for row in rows) for name in splits},
        "fine_tuning_seconds_median": float(np.median([row["fine_tuning_seconds"] for row in rows])),
        "per_writer": rows,
    }


def as_labelled(drawing: Drawing) -> handwriting.Drawing:
    """Return a pen drawing as a labelled drawing of the pad."""
    strokes = [stroke.tolist() for stroke in drawing.strokes]
    return handwriting.Drawing(strokes, 0, [], False, "", label=drawing.digit)


def count_errors(network: DigitNet, images: np.ndarray, labels: np.ndarray) -> int:
    """Return how many of the images, uint8 N×28×28, the network gets wrong."""
    return int((predict_logits(network, images).argmax(1) != labels).sum())
