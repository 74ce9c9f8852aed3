"""Schema and integrity checks: is the dataset what it claims to be?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_json
from mnistlib.core.formatting import Table, dims, percent
from mnistlib.data.datasets import DATASETS, Raw
from mnistlib.runs.layout import Run

LEAKAGE_ALLOWED = 0.001


@dataclass(frozen=True)
class Check:
    """One row: what was looked at, what was expected, what was found, and whether that will do."""

    part: str
    check: str
    expected: str
    found: str
    passed: bool


def validate(raw: Raw) -> list[Check]:
    """All checks of both parts, in the order in which they are shown."""
    parts = (("train", raw.train_images, raw.train_labels), ("test", raw.test_images, raw.test_labels))
    checks = [check for name, images, labels in parts for check in check_split(raw.dataset, name, images, labels)]
    return [*checks, leakage_check(raw)]


def check_split(dataset: str, part: str, images: np.ndarray, labels: np.ndarray) -> Iterator[Check]:
    """Schema first; what needs a sound schema only where there is one."""
    entry = DATASETS[dataset]
    shape_ok = images.ndim == 3 and images.shape[1:] == (28, 28) and labels.shape == images.shape[:1]
    dtypes = f"{images.dtype}, {labels.dtype}"
    yield Check(part, "dtype of images, labels", "uint8, uint8", dtypes, dtypes == "uint8, uint8")
    yield Check(part, "shape", "N × 28 × 28 and N", f"{dims(images.shape)} and {dims(labels.shape)}", shape_ok)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (-1, -1)
    yield Check(part, "label range", "0…9", f"{low}…{high}", (low, high) == (0, 9))
    if not shape_ok or labels.size == 0:
        return
    yield count_check(part, labels, entry.train_counts if part == "train" else entry.test_counts)
    flat = images.reshape(len(images), -1)
    constant = int((flat.min(1) == flat.max(1)).sum())
    yield Check(part, "blank or constant pictures", "0", str(constant), constant == 0)
    repeats = len(flat) - len(set(hashes(images)))
    share = repeats / len(flat)
    yield Check(part, "pictures that stand twice", "at most 0.1 %", f"{repeats} ({percent(share, 2)})", share <= 0.001)
    if part == "train":
        mean, std = float(images.mean() / 255), float(images.std() / 255)
        yield Check(part, "mean of pixels", "{}…{}".format(*entry.mean), f"{mean:.4f}", within(mean, entry.mean))
        yield Check(part, "standard deviation", "{}…{}".format(*entry.std), f"{std:.4f}", within(std, entry.std))


def count_check(part: str, labels: np.ndarray, published: tuple[int, ...]) -> Check:
    """Counts per class against the published ones; where none are, no class below half its share."""
    counts = np.bincount(labels, minlength=10)
    found = " ".join(map(str, counts))
    if published:
        return Check(part, "pictures per class", " ".join(map(str, published)), found, tuple(counts) == published)
    least = len(labels) // 20
    return Check(part, "pictures per class", f"at least {least} each", found, bool(counts.min() >= least))


def leakage_check(raw: Raw) -> Check:
    """How many test pictures also stand in the training part."""
    known = set(hashes(raw.train_images))
    leaked = sum(h in known for h in hashes(raw.test_images))
    share = leaked / max(1, len(raw.test_images))
    found = f"{leaked} ({percent(share, 2)})"
    return Check("both", "test pictures also in train", "at most 0.1 %", found, share <= LEAKAGE_ALLOWED)


def hashes(images: np.ndarray) -> list[bytes]:
    """Each picture's bytes: equal exactly when the pictures are."""
    return [image.tobytes() for image in np.ascontiguousarray(images)]


def within(value: float, band: tuple[float, float]) -> bool:
    return band[0] <= value <= band[1]


def check_table(checks: list[Check]) -> Table:
    """The checks to be shown, with a verdict each."""
    rows: list[dict[str, Any]] = []
    for check in checks:
        row = asdict(check)
        row["passed"] = "✓" if check.passed else "✗ FAILED"
        rows.append(row)
    return Table(rows)


def save_checks(run: Run, checks: list[Check]) -> None:
    """Keep the table in `reports/data_validation.json`."""
    write_json(run.validation_json, {"passed": all(c.passed for c in checks), "checks": [asdict(c) for c in checks]})


def require_passed(checks: list[Check]) -> str:
    """A sentence when all passed. Raises RunError with the failed rows otherwise."""
    failed = [check for check in checks if not check.passed]
    if failed:
        lines = [f"  {c.part}: {c.check}: expected {c.expected}, found {c.found}" for c in failed]
        raise RunError("the dataset failed its checks:\n" + "\n".join(lines) + "\nReplace the files and run again.")
    return f"all {len(checks)} checks passed"
