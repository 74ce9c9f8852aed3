"""Teaching, writer by writer: five drawings of each digit are taught, all others of the same hand are the exam."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.pendigits import Drawing, read_drawings
from mnistlib.data.preprocess import load_split
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.imaging.framing import rasterize
from mnistlib.inference import drawings as handwriting
from mnistlib.inference.fine_tune import FineTuneRecipe, augment_drawings, fine_tune
from mnistlib.pipeline.fine_tune_run import rehearse
from mnistlib.runs.layout import Run
from mnistlib.training.model import DigitNet, load_model

TAUGHT = 5


def measure_fine_tuning(run: Run, path: Path, one_in: int) -> dict[str, Any]:
    """Errors on the other drawings of one in so many writers, and on validation and test part, before and after."""
    network, lesson = load_model(run), FineTuneRecipe()
    rehearsal = rehearse(run, seed=0)
    parts = {part: load_split(run, part) for part in ("val", "test")}
    before_fine_tuning = {name: wrong(network, *part) for name, part in parts.items()}
    drawings = read_drawings(path)
    rows = []
    for writer in sorted({d.writer for d in drawings})[::one_in]:
        mine = [d for d in drawings if d.writer == writer]
        shown = [d for digit in range(10) for d in [m for m in mine if m.digit == digit][:TAUGHT]]
        exam = [d for d in mine if not any(d is s for s in shown)]
        began = time.perf_counter()
        own = augment_drawings([as_labelled(d) for d in shown], lesson.versions, seed=0)
        taught = fine_tune(network, own, rehearsal, lesson, seed=0)
        seconds = time.perf_counter() - began
        drawn = np.stack([rasterize(d.strokes) for d in exam]), np.array([d.digit for d in exam])
        before, after = (wrong(n, *drawn) for n in (network, taught))
        rows.append({"writer": writer, "exam": len(exam), "before": before, "after": after, "teach_seconds": seconds})
        for name, part in parts.items():
            rows[-1][f"{name}_errors_more"] = wrong(taught, *part) - before_fine_tuning[name]
    total = {name: sum(row[name] for row in rows) for name in ("exam", "before", "after")}
    return {
        "people": len(rows),
        **total,
        "ratio": total["after"] / max(total["before"], 1),
        **{f"{name}_errors_more_mean": float(np.mean([row[f"{name}_errors_more"] for row in rows])) for name in parts},
        **{f"{name}_errors_more_worst": max(row[f"{name}_errors_more"] for row in rows) for name in parts},
        "teach_seconds_median": float(np.median([row["teach_seconds"] for row in rows])),
        "writers": rows,
    }


def as_labelled(drawing: Drawing) -> handwriting.Drawing:
    """A pen drawing as a person's corrected one."""
    strokes = [stroke.tolist() for stroke in drawing.strokes]
    return handwriting.Drawing(strokes, 0, [], False, "", label=drawing.digit)


def wrong(network: DigitNet, images: np.ndarray, labels: np.ndarray) -> int:
    """How many of uint8 N×28×28 it mistakes."""
    return int((predict_logits(network, images).argmax(1) != labels).sum())
