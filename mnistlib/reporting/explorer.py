"""Data of the front page's interactive figures: t-SNE map, confusion matrix and confidence threshold.

The page's script needs no server. The data holds only the test images that the script can show.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_arrays
from mnistlib.data.preprocess import load_split, load_statistics
from mnistlib.evaluation.calibration import load_calibration, ood_score
from mnistlib.evaluation.metrics import confusion, load_predictions, softmax
from mnistlib.runs.layout import Run
from mnistlib.runs.state import is_current

MOST = {"in_a_cell": 24, "just_rejected": 12, "wrong": 24}
COLUMNS = 64
LARGEST_SHEET = 450_000  # bytes
OUTLIER = 0


def explore_data(run: Run) -> dict[str, Any]:
    """Return the data for `explorer.js`; empty when 04 and 05 are not up to date or their files do not match.

    `images`: most confident first, each [index in the test set, label, prediction, confidence, level]. The
    confidence is cut after four digits, so that no rejected image seems to reach a threshold. `level` is the number
    of `thresholds` that it reaches, or `OUTLIER` if the OOD score rejects the image. `steps`: how many predictions
    each threshold accepts, and how many of those are wrong. `points`: [x, y, place in `images`], 0…1000. `most`: how
    many images are shown of each kind. `sheet`: the images in rows of `columns`, a PNG in base64, dark on light.
    """
    if not (is_current(run, "04_evaluate") and is_current(run, "05_features")):
        return {}
    try:
        images, labels = load_split(run, "test")
        found, classes = load_calibration(run), load_statistics(run)["classes"]
        logits, points, mapped = load_logits_and_points(run, len(labels), len(classes))
    except (RunError, ValueError):
        return {}
    labels, predictions = np.asarray(labels, np.int64), logits.argmax(1)
    confidence, is_inlier = softmax(logits, found.temperature).max(1), ood_score(logits) >= found.ood_threshold
    thresholds = np.unique(np.append(1 - np.geomspace(0.9, 1e-4, 60), found.threshold))
    levels = np.where(is_inlier, np.searchsorted(thresholds, confidence, side="right"), OUTLIER)
    order = np.argsort(-confidence, kind="stable")
    kept = np.zeros(len(labels), bool)
    kept[np.concatenate([mapped, *shown_indices(order, labels, predictions, levels, len(thresholds))])] = True
    chosen = order[kept[order]]
    places = {int(index): place for place, index in enumerate(chosen)}
    accepted = [levels > step for step in range(len(thresholds))]
    return {
        "classes": [str(name) for name in classes],
        "count": len(labels),
        "matrix": confusion(labels, predictions, len(classes)).tolist(),
        "images": [
            [int(i), int(labels[i]), int(predictions[i]), int(1e4 * confidence[i]) / 1e4, int(levels[i])]
            for i in chosen
        ],
        "thresholds": thresholds.tolist(),
        "chosen": int(np.searchsorted(thresholds, found.threshold)),
        "outliers": int((~is_inlier).sum()),
        "steps": [[int(a.sum()), int((a & (labels != predictions)).sum())] for a in accepted],
        "points": [[*xy, places[int(i)]] for xy, i in zip(scale_points(points), mapped, strict=True)],
        "most": MOST,
        "columns": COLUMNS,
        "sheet": base64.b64encode(make_sheet(images[chosen])).decode(),
    }


def load_logits_and_points(run: Run, count: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logits of all `count` test images, the t-SNE points and their indices. Raises RunError, ValueError."""
    _, logits = load_predictions(run)
    points, indices = read_arrays(run.tsne, ["points", "indices"], hint="")
    valid = points.shape == (*indices.shape, 2) and points.dtype.kind == "f" and np.isfinite(points).all()
    if not valid or indices.dtype.kind not in "iu" or not np.isin(indices, np.arange(count)).all():
        raise ValueError("points of other images than the test set's")
    if logits.shape != (count, classes) or not len(points):
        raise ValueError("logits and points of different test sets")
    return logits, points, indices


def shown_indices(
    order: np.ndarray, labels: np.ndarray, predictions: np.ndarray, levels: np.ndarray, steps: int
) -> list[np.ndarray]:
    """Return the indices of the images that the script can show, from `order`, most confident first.

    These are the most confident images of each error, the least confident correct ones of each class, those that each
    threshold just rejects, and the most confident errors.
    """
    label, prediction, level = labels[order], predictions[order], levels[order]
    in_a_cell, just_rejected, wrong = MOST.values()
    found = [order[(label != prediction) & (level != OUTLIER)][:wrong]]
    for truth, said in np.unique(np.stack([label, prediction], axis=1), axis=0):
        cell = order[(label == truth) & (prediction == said)]
        found.append(cell[-in_a_cell:] if truth == said else cell[:in_a_cell])
    found += [order[(level != OUTLIER) & (level <= step)][:just_rejected] for step in range(steps)]
    return found


def scale_points(points: np.ndarray) -> list[list[int]]:
    """Return points N×2 as whole numbers in 0…1000 with their aspect ratio, the second axis upwards."""
    low, high = points.min(0), points.max(0)
    centred = (points - (low + high) / 2) / max(float((high - low).max()), 1e-9)
    moved: list[list[int]] = np.rint(500 + 960 * centred * [1, -1]).astype(int).tolist()
    return moved


def make_sheet(images: np.ndarray) -> bytes:
    """Return images uint8 N×28×28 side by side as one PNG of 16 gray levels, or fewer if it is too large."""
    rows = -(-len(images) // COLUMNS)
    padded = np.zeros((rows * COLUMNS, *images.shape[1:]), np.uint8)
    padded[: len(images)] = images
    side = images.shape[1]
    page = 255 - padded.reshape(rows, COLUMNS, side, side).swapaxes(1, 2).reshape(rows * side, COLUMNS * side)
    for bits, greys in ((4, 16), (4, 8), (2, 4)):
        sheet = Image.fromarray(np.rint(page / 255 * (greys - 1)).astype(np.uint8), "P")
        sheet.putpalette([round(255 * grey / (greys - 1)) for grey in range(greys) for _ in "rgb"])
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG", bits=bits, optimize=True)
        if buffer.tell() <= LARGEST_SHEET:
            break
    return buffer.getvalue()
