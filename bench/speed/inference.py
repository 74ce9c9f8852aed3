"""Inference speed: pictures per second in batches, milliseconds for a single picture."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mnistlib.inference.predictor import Predictor

ROUNDS = 7
SINGLES = 500


def measure_inference(predictor: Predictor, images: np.ndarray) -> dict[str, Any]:
    """Time `Predictor.images` on images, uint8 N×28×28: seven rounds over all of them, then one at a time."""
    rounds = [seconds(predictor, images) for _ in range(ROUNDS)]
    singles = [seconds(predictor, images[i : i + 1]) * 1000 for i in np.arange(SINGLES) % len(images)]
    return {
        "pictures_per_second_median": len(images) / float(np.median(rounds)),
        "pictures_per_second_best": len(images) / min(rounds),
        "one_ms_p50": float(np.median(singles)),
        "one_ms_p95": float(np.percentile(singles, 95)),
        "one_ms": singles,
    }


def seconds(predictor: Predictor, images: np.ndarray) -> float:
    began = time.perf_counter()
    predictor.images(images)
    return time.perf_counter() - began
