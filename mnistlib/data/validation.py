"""Check the schema and the integrity of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_json
from mnistlib.core.formatting import Table, dims, percent
from mnistlib.data.datasets import DATASETS, Raw
from mnistlib.runs.layout import Run

LEAKAGE_ALLOWED = 0.001


@dataclass(frozen=True)
class Check:
    """One row: the split, what was checked, the expected and the found value, and whether it passed."""

    split: str
    check: str
    expected: str
    found: str
    passed: bool


def validate(raw: Raw) -> list[Check]:
    """Check schema, counts, statistics, duplicates and leakage of a dataset.

    Returns:
        The checks of the training set, of the test set and of both, in the order in which they are shown.
    """
    splits = (("train", raw.train_images, raw.train_labels), ("test", raw.test_images, raw.test_labels))
    checks = [check for name, images, labels in splits for check in check_split(raw.dataset, name, images, labels)]
    return [*checks, leakage_check(raw)]


def check_split(dataset: str, split: str, images: np.ndarray, labels: np.ndarray) -> Iterator[Check]:
    """Check the schema first; the rest only where the schema is right."""
    entry = DATASETS[dataset]
    shape_ok = images.ndim == 3 and images.shape[1:] == (28, 28) and labels.shape == images.shape[:1]
    dtypes = f"{images.dtype}, {labels.dtype}"
    yield Check(split, "dtype of images, labels", "uint8, uint8", dtypes, dtypes == "uint8, uint8")
    yield Check(split, "shape", "N × 28 × 28 and N", f"{dims(images.shape)} and {dims(labels.shape)}", shape_ok)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (-1, -1)
    yield Check(split, "label range", "0…9", f"{low}…{high}", (low, high) == (0, 9))
    if not shape_ok or labels.size == 0:
        return
    yield count_check(split, labels, entry.train_counts if split == "train" else entry.test_counts)
    flat = images.reshape(len(images), -1)
    constant = int((flat.min(1) == flat.max(1)).sum())
    yield Check(split, "blank or constant pictures", "0", str(constant), constant == 0)
    repeats = len(flat) - len(set(hashes(images)))
    share = repeats / len(flat)
    yield Check(split, "duplicate pictures", "at most 0.1 %", f"{repeats} ({percent(share, 2)})", share <= 0.001)
    if split == "train":
        mean, std = float(images.mean() / 255), float(images.std() / 255)
        yield Check(split, "mean of pixels", "{}…{}".format(*entry.mean), f"{mean:.4f}", within(mean, entry.mean))
        yield Check(split, "standard deviation", "{}…{}".format(*entry.std), f"{std:.4f}", within(std, entry.std))


def count_check(split: str, labels: np.ndarray, published: tuple[int, ...]) -> Check:
    """Compare counts per class with the published ones; without those, no class may be below half its share."""
    counts = np.bincount(labels, minlength=10)
    found = " ".join(map(str, counts))
    if published:
        return Check(split, "pictures per class", " ".join(map(str, published)), found, tuple(counts) == published)
    least = len(labels) // 20
    return Check(split, "pictures per class", f"at least {least} each", found, bool(counts.min() >= least))


def leakage_check(raw: Raw) -> Check:
    """Count the test pictures that are also in the training set."""
    learned = set(hashes(raw.train_images))
    leaked = sum(h in learned for h in hashes(raw.test_images))
    share = leaked / max(1, len(raw.test_images))
    found = f"{leaked} ({percent(share, 2)})"
    return Check("both", "test pictures also in train", "at most 0.1 %", found, share <= LEAKAGE_ALLOWED)


def hashes(images: np.ndarray) -> list[bytes]:
    """Return each picture's bytes, which are equal exactly when the pictures are."""
    return [image.tobytes() for image in np.ascontiguousarray(images)]


def within(value: float, band: tuple[float, float]) -> bool:
    return band[0] <= value <= band[1]


def check_table(checks: list[Check]) -> Table:
    """Return the checks as a table, with a verdict each."""
    return Table([asdict(check) | {"passed": "✓" if check.passed else "✗ FAILED"} for check in checks])


def save_checks(run: Run, checks: list[Check]) -> None:
    """Write the checks to `reports/data_validation.json`."""
    write_json(run.validation_json, {"passed": all(c.passed for c in checks), "checks": [asdict(c) for c in checks]})


def require_passed(checks: list[Check]) -> str:
    """Return a sentence when all checks passed. Raises RunError with the failed rows otherwise."""
    failed = [check for check in checks if not check.passed]
    if failed:
        lines = [f"  {c.split}: {c.check}: expected {c.expected}, found {c.found}" for c in failed]
        raise RunError("the dataset failed its checks:\n" + "\n".join(lines) + "\nReplace the files and run again.")
    return f"all {len(checks)} checks passed"
