"""What the front page lets people look into: points, cells and thresholds with their test pictures, as data.

The page's script draws from it without a server. It holds no more pictures than the script can come to show.
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

MOST = {"in_a_cell": 24, "just_refused": 12, "wrong": 24}
COLUMNS = 64
LARGEST_SHEET = 450_000
UNLIKE = 0


def explore_data(run: Run) -> dict[str, Any]:
    """Data for `explorer.js`; empty where 04 and 05 do not stand, or their files do not belong together.

    `pictures`: surest first, each [index in the test part, label, prediction, confidence, level], the
    confidence cut off after four digits, lest what was refused seem to reach a threshold; `level`: how many of
    `thresholds` its confidence reaches, `UNLIKE` where it is refused for being like no class. `steps`: how many are
    accepted at each threshold, and how many of those are wrong. `points`: [x, y, place in `pictures`], 0…1000.
    `most`: how many are shown of each kind. `sheet`: the pictures in rows of `columns`, a PNG in base64, dark on light.
    """
    if not (is_current(run, "04_evaluate") and is_current(run, "05_features")):
        return {}
    try:
        images, labels = load_split(run, "test")
        found, classes = load_calibration(run), load_statistics(run)["classes"]
        logits, points, shown = answers_and_points(run, len(labels), len(classes))
    except (RunError, ValueError):
        return {}
    labels, predictions = np.asarray(labels, np.int64), logits.argmax(1)
    confidence, like = softmax(logits, found.temperature).max(1), ood_score(logits) >= found.ood_threshold
    thresholds = np.unique(np.append(1 - np.geomspace(0.9, 1e-4, 60), found.threshold))
    levels = np.where(like, np.searchsorted(thresholds, confidence, side="right"), UNLIKE)
    order = np.argsort(-confidence, kind="stable")
    kept = np.zeros(len(labels), bool)
    kept[np.concatenate([shown, *to_show(order, labels, predictions, levels, len(thresholds))])] = True
    chosen = order[kept[order]]
    places = {int(index): place for place, index in enumerate(chosen)}
    accepted = [levels > step for step in range(len(thresholds))]
    return {
        "classes": [str(name) for name in classes],
        "count": len(labels),
        "matrix": confusion(labels, predictions, len(classes)).tolist(),
        "pictures": [
            [int(i), int(labels[i]), int(predictions[i]), int(1e4 * confidence[i]) / 1e4, int(levels[i])]
            for i in chosen
        ],
        "thresholds": thresholds.tolist(),
        "chosen": int(np.searchsorted(thresholds, found.threshold)),
        "unlike": int((~like).sum()),
        "steps": [[int(a.sum()), int((a & (labels != predictions)).sum())] for a in accepted],
        "points": [[*xy, places[int(i)]] for xy, i in zip(to_thousand(points), shown, strict=True)],
        "most": MOST,
        "columns": COLUMNS,
        "sheet": base64.b64encode(make_sheet(images[chosen])).decode(),
    }


def answers_and_points(run: Run, count: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of all `count` test pictures, t-SNE's points and their indices. Raises RunError, ValueError."""
    _, logits = load_predictions(run)
    points, indices = read_arrays(run.tsne, ["points", "indices"], hint="")
    placed = points.shape == (*indices.shape, 2) and points.dtype.kind == "f" and np.isfinite(points).all()
    if not placed or indices.dtype.kind not in "iu" or not np.isin(indices, np.arange(count)).all():
        raise ValueError("points of no test pictures")
    if logits.shape != (count, classes) or not len(points):
        raise ValueError("made of different test parts")
    return logits, points, indices


def to_show(
    order: np.ndarray, labels: np.ndarray, predictions: np.ndarray, levels: np.ndarray, steps: int
) -> list[np.ndarray]:
    """Indices of what clicks and slides can bring up, from `order`, surest first.

    Of each confusion the surest, of what was right the least sure; at each threshold those just refused; the surest
    wrong ones.
    """
    label, prediction, level = labels[order], predictions[order], levels[order]
    in_a_cell, just_refused, wrong = MOST.values()
    found = [order[(label != prediction) & (level != UNLIKE)][:wrong]]
    for truth, said in np.unique(np.stack([label, prediction], axis=1), axis=0):
        cell = order[(label == truth) & (prediction == said)]
        found.append(cell[-in_a_cell:] if truth == said else cell[:in_a_cell])
    found += [order[(level != UNLIKE) & (level <= step)][:just_refused] for step in range(steps)]
    return found


def to_thousand(points: np.ndarray) -> list[list[int]]:
    """Points N×2 as whole numbers in 0…1000, their proportions kept, the second axis upwards."""
    low, high = points.min(0), points.max(0)
    centred = (points - (low + high) / 2) / max(float((high - low).max()), 1e-9)
    moved: list[list[int]] = np.rint(500 + 960 * centred * [1, -1]).astype(int).tolist()
    return moved


def make_sheet(images: np.ndarray) -> bytes:
    """Pictures uint8 N×28×28 side by side in one PNG of 16 greys, or fewer where that is too many bytes."""
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
