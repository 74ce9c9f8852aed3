"""Raw → processed: a stratified split, kept as uint8 arrays, with statistics of the training part alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import file_digest, read_json, shown, whole, write_json
from mnistlib.core.json_checks import between, is_digest, is_flag, is_text, list_of, wrong_fields
from mnistlib.data.datasets import FALLBACK, Raw
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned

PARTS = ("train", "val", "test")
AT_ONCE = 5000
ANEW = "delete it, and make runs 02_preprocess again"
TAUGHT_AGAIN = "make teach RUN=… teaches it anew, with the run that it learnt from"
DESCRIBED = {  # what statistics.json must say for others to rely on it
    **{"dataset": is_text, "title": is_text, "fallback": is_flag, "classes": list_of(is_text, most=100)},
    **{"mean": between(0, 1), "std": between(0, 1)},
    "sha256": lambda value: isinstance(value, dict) and all(map(is_digest, value.values())),
    **{f"{name}_count": between(0, 10**9, int) for name in PARTS},
}


class Split(NamedTuple):
    """Images uint8 N×28×28 and labels uint8 N."""

    images: np.ndarray
    labels: np.ndarray


def split(raw: Raw, val_fraction: float, seed: int, train_limit: int = 0) -> dict[str, Split]:
    """Train, validation and test; validation is drawn from the training part, stratified by class.

    `train_limit`: keep at most this many training examples, stratified too; 0 keeps all. Raises RunError for a
    `val_fraction` that would leave a part empty.
    """
    chosen = stratified_order(raw.train_labels, seed)
    val_count = round(len(chosen) * val_fraction)
    if not 0 < val_count < len(chosen):
        count = f"{val_count:,} of {len(chosen):,} pictures for validation"
        raise RunError(f"preprocess.val_fraction is {val_fraction}: it gives {count}, and either part must have some")
    val, train = chosen[:val_count], chosen[val_count:]
    if train_limit:
        train = train[:train_limit]
    val, train = np.sort(val), np.sort(train)
    return {
        "train": Split(raw.train_images[train], raw.train_labels[train]),
        "val": Split(raw.train_images[val], raw.train_labels[val]),
        "test": Split(raw.test_images, raw.test_labels),
    }


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Indices in a random order of which every beginning holds the classes in their proportions.

    Each class's shuffled members are spread evenly over 0…1; sorting by place mixes the classes.
    """
    generator = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for digit in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == digit))
        places[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(places, kind="stable")


def statistics(train: Split) -> dict[str, float]:
    """Mean and standard deviation of the training pixels, in 0…1, from exact counts: lot by lot, to spare memory."""
    lots = (train.images[i : i + AT_ONCE] for i in range(0, len(train.images), AT_ONCE))
    counts = sum((np.bincount(lot.ravel(), minlength=256) for lot in lots), start=np.zeros(256, int))
    values = np.arange(256) / 255
    mean = float(counts @ values / counts.sum())
    return {"mean": mean, "std": float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))}


def save_parts(run: Run, parts: dict[str, Split], raw: Raw) -> dict[str, Any]:
    """Write the arrays and `statistics.json`, which names them by hash; returns what it says."""
    hashes = {}
    for name, part in parts.items():
        for kind, array in (("images", part.images), ("labels", part.labels)):
            path = array_path(run, name, kind)
            with whole(path) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
            hashes[path.name] = file_digest(path)
    counts = {f"{name}_count": len(part.labels) for name, part in parts.items()}
    kept = {"dataset": raw.dataset, "title": raw.title, "fallback": raw.fallback, "classes": list(raw.classes)}
    described = {**kept, **counts, **statistics(parts["train"]), "sha256": hashes}
    write_json(statistics_path(run), described)
    return described


def load_statistics(run: Run) -> dict[str, Any]:
    """What 02_preprocess wrote about the data. Raises RunError when it has not run, or the file is damaged."""
    known = read_json(statistics_path(run), hint="run 02_preprocess first")
    wrong = wrong_fields(known, DESCRIBED)
    if wrong:
        text = f"{shown(statistics_path(run))} is damaged at {', '.join(wrong)}"
        own = f"make preprocess RUN={run.name} writes it again"
        raise RunError(f"{text}: {TAUGHT_AGAIN if is_fine_tuned(run) else own}")
    return known


def data_line(run: Run) -> str:
    """The dataset in a few words; where another stands in for it, words that nobody can miss."""
    known = load_statistics(run)
    return FALLBACK if known["fallback"] else f"data: {known['title']}"


def load_split(run: Run, name: str) -> Split:
    """One of train, val, test, memory-mapped, checked against its hash.

    Raises RunError when a file is missing, damaged or not the one that was written.
    """
    hashes = load_statistics(run)["sha256"]
    again = TAUGHT_AGAIN if is_fine_tuned(run) else ANEW
    return Split(*(load_array(array_path(run, name, kind), hashes, again) for kind in ("images", "labels")))


def load_array(path: Path, hashes: dict[str, str], again: str = ANEW) -> np.ndarray:
    """A checked, read-only memory map. Raises RunError, ending in what to do `again`."""
    if not path.is_file():
        raise RunError(f"{shown(path)} is missing: {again.removeprefix('delete it, and ')}")
    if file_digest(path) != hashes.get(path.name):
        raise RunError(f"{shown(path)} is not what 02_preprocess wrote: {again}")
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds for damage that the description's SHA-256 was made to match
        raise RunError(f"{shown(path)} is damaged: {again}") from error
    shape = array.shape[:1] + ((28, 28) if path.stem.endswith("_images") else ())
    if array.dtype != np.uint8 or not array.shape or array.shape != shape:
        raise RunError(f"{shown(path)} holds {array.dtype} {array.shape}: {again}")
    return array


def array_path(run: Run, part: str, kind: str) -> Path:
    return run.processed / f"{part}_{kind}.npy"


def statistics_path(run: Run) -> Path:
    return run.processed / "statistics.json"


def one_hot(labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """Labels N as rows of an identity matrix, float32 N×classes."""
    return np.eye(classes, dtype=np.float32)[labels]
