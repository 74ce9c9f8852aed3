"""Throughput and accuracy on image files: test digits as people send them, a quarter of each kind."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mnistlib.inference.predictor import Predictor

ENLARGED = 10
KINDS = ("plain", "negative", "enlarged", "negative and enlarged")


def measure_image_files(predictor: Predictor, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Write images, uint8 N×28×28, as PNG files; return files per second and accuracy, overall and per kind."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [write(Path(folder, f"{i:05}.png"), image, i % len(KINDS)) for i, image in enumerate(images)]
        began = time.perf_counter()
        digits = np.array([p.digit for p in predictor.files(paths)])
        seconds = time.perf_counter() - began
    right = digits == labels
    of_each = {f"accuracy_{kind}": float(right[i :: len(KINDS)].mean()) for i, kind in enumerate(KINDS)}
    return {"pictures": len(paths), "per_second": len(paths) / seconds, "accuracy": float(right.mean()), **of_each}


def write(path: Path, image: np.ndarray, kind: int) -> Path:
    """Write the picture unchanged, dark on light, enlarged ten times, or both; return its path."""
    shown = 255 - image if kind % 2 else image
    picture = Image.fromarray(shown)
    if kind >= 2:
        picture = picture.resize((28 * ENLARGED, 28 * ENLARGED), Image.Resampling.BICUBIC)
    picture.save(path)
    return path
