"""Split the raw dataset, stratified by class, and save uint8 arrays with statistics of the training set alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import atomic_write, file_digest, read_json, shown, write_json
from mnistlib.core.json_checks import between, is_digest, is_flag, is_text, list_of, wrong_fields
from mnistlib.data.datasets import FALLBACK, Raw
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned

SPLITS = ("train", "val", "test")
AT_ONCE = 5000  # pictures, to save memory
AGAIN = "delete it, and make runs 02_preprocess again"
FINE_TUNE_AGAIN = "make teach RUN=… fine-tunes it again, with the run that it started from"
DESCRIBED = {  # what statistics.json must say for others to rely on it
    **{"dataset": is_text, "title": is_text, "fallback": is_flag, "classes": list_of(is_text, most=100)},
    **{"mean": between(0, 1), "std": between(0, 1)},
    "sha256": lambda value: isinstance(value, dict) and all(map(is_digest, value.values())),
    **{f"{name}_count": between(0, 10**9, int) for name in SPLITS},
}


class Split(NamedTuple):
    """Images uint8 N×28×28 and labels uint8 N."""

    images: np.ndarray
    labels: np.ndarray


def split(raw: Raw, val_fraction: float, seed: int, train_limit: int = 0) -> dict[str, Split]:
    """Split into training set, validation set and test set.

    Args:
        raw: the dataset; the validation set is drawn from its training set, stratified by class.
        val_fraction: share of the validation set, in 0…1.
        seed: the same seed gives the same split.
        train_limit: keep at most this many training pictures, stratified too; 0 keeps all.

    Returns:
        The splits `train`, `val` and `test`.

    Raises:
        RunError: `val_fraction` would leave a split empty.
    """
    chosen = stratified_order(raw.train_labels, seed)
    val_count = round(len(chosen) * val_fraction)
    if not 0 < val_count < len(chosen):
        count = f"{val_count:,} of {len(chosen):,} pictures for validation"
        raise RunError(f"preprocess.val_fraction is {val_fraction}: it gives {count}, and each split must have some")
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
    """Return indices in a random order of which every beginning holds the classes in their proportions.

    The shuffled members of each class are spread evenly over 0…1; sorting by place mixes the classes.
    """
    generator = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for digit in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == digit))
        places[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(places, kind="stable")


def statistics(train: Split) -> dict[str, float]:
    """Return mean and standard deviation of the training pixels, in 0…1, from exact counts, batch by batch."""
    batches = (train.images[i : i + AT_ONCE] for i in range(0, len(train.images), AT_ONCE))
    counts = sum((np.bincount(batch.ravel(), minlength=256) for batch in batches), start=np.zeros(256, int))
    values = np.arange(256) / 255
    mean = float(counts @ values / counts.sum())
    return {"mean": mean, "std": float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))}


def save_splits(run: Run, splits: dict[str, Split], raw: Raw) -> dict[str, Any]:
    """Write the arrays, and `statistics.json` with their hashes.

    Args:
        splits: what `split` returned.
        raw: the dataset.

    Returns:
        The content of `statistics.json`.
    """
    hashes = {}
    for name, chosen in splits.items():
        for kind, array in (("images", chosen.images), ("labels", chosen.labels)):
            path = array_path(run, name, kind)
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
            hashes[path.name] = file_digest(path)
    counts = {f"{name}_count": len(chosen.labels) for name, chosen in splits.items()}
    kept = {"dataset": raw.dataset, "title": raw.title, "fallback": raw.fallback, "classes": list(raw.classes)}
    described = {**kept, **counts, **statistics(splits["train"]), "sha256": hashes}
    write_json(statistics_path(run), described)
    return described


def load_statistics(run: Run) -> dict[str, Any]:
    """Return the content of `statistics.json`. Raises RunError when 02_preprocess has not run, or it is damaged."""
    described = read_json(statistics_path(run), hint="run 02_preprocess first")
    wrong = wrong_fields(described, DESCRIBED)
    if wrong:
        text = f"{shown(statistics_path(run))} is damaged at {', '.join(wrong)}"
        own = f"make preprocess RUN={run.name} writes it again"
        raise RunError(f"{text}: {FINE_TUNE_AGAIN if is_fine_tuned(run) else own}")
    return described


def data_line(run: Run) -> str:
    """Return a line that names the dataset; for the fallback, the banner `FALLBACK`. Raises RunError."""
    described = load_statistics(run)
    return FALLBACK if described["fallback"] else f"data: {described['title']}"


def load_split(run: Run, name: str) -> Split:
    """Load a split, memory-mapped and checked against its hash.

    Args:
        name: train, val or test.

    Returns:
        Read-only images uint8 N×28×28 and labels uint8 N.

    Raises:
        RunError: a file is missing, damaged or not the one that was written.
    """
    hashes = load_statistics(run)["sha256"]
    again = FINE_TUNE_AGAIN if is_fine_tuned(run) else AGAIN
    return Split(*(load_array(array_path(run, name, kind), hashes, again) for kind in ("images", "labels")))


def load_array(path: Path, hashes: dict[str, str], again: str = AGAIN) -> np.ndarray:
    """Return a checked, read-only memory map. Raises RunError that ends in what to do, `again`."""
    if not path.is_file():
        raise RunError(f"{shown(path)} is missing: {again.removeprefix('delete it, and ')}")
    if file_digest(path) != hashes.get(path.name):
        raise RunError(f"{shown(path)} is not what 02_preprocess wrote: {again}")
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds for damaged files
        raise RunError(f"{shown(path)} is damaged: {again}") from error
    shape = array.shape[:1] + ((28, 28) if path.stem.endswith("_images") else ())
    if array.dtype != np.uint8 or not array.shape or array.shape != shape:
        raise RunError(f"{shown(path)} holds {array.dtype} {array.shape}: {again}")
    return array


def array_path(run: Run, name: str, kind: str) -> Path:
    return run.processed / f"{name}_{kind}.npy"


def statistics_path(run: Run) -> Path:
    return run.processed / "statistics.json"


def one_hot(labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """Encode labels N as rows of an identity matrix, float32 N×classes."""
    return np.eye(classes, dtype=np.float32)[labels]
