"""Compare what was made again with a receipt: file by file and metric by metric, with the causes of differences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mnistlib.core.config import flatten
from mnistlib.core.files import bytes_digest
from mnistlib.runs.receipt import Artifact, Receipt
from mnistlib.runs.record import PLACES, VOLATILE, without_volatile
from mnistlib.runs.stages import STAGE

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"
EXACT = {"01_data", "02_preprocess"}
NOTHING = "the receipt names no difference: the stage is not repeatable, or the receipt was changed"

# With the same code, parameters, data, versions, processor and threads, every bit is the same: no tolerance is needed.
# If one of them differs, rounding differs from the first step on, and training ends at other weights, as with another
# seed. The table says how far metrics may then differ; a metric without a line must be equal.
TOLERANCES = (
    # Twice the square root of the number of errors: 12 at 35 errors, which another seed changed by 4.
    (r"(test|val|(pixel_)?knn)_accuracy\w*|test_error_at_\w+", "share", 2.0),
    (r"test_(accepted_)?errors", "count", 2.0),
    # A mean over few errors has the relative spread of their number.
    (r"test_nll\w*|val_loss", "depends on errors", 2.0),
    # Two threads instead of one changed it by 0.007, another seed by 0.013.
    (r"test_ece\w*", "absolute", 0.02),
    # Results on inputs unlike the training set vary most: two threads instead of one changed shares by up to 0.22.
    (r"(corrupted|ood)_\w+|test_coverage|infer_(accuracy\w*|coverage|selective_risk)", "absolute", 0.3),
    (r"(infer_accepted|handwriting_(right|won|lost))", "of all", 0.3),
    (r"pca_variance", "absolute", 0.1),
    # Computed from exact counts: only the order of the last sum depends on the processor.
    (r"pixel_(mean|std)", "relative", 1e-9),
)


@dataclass(frozen=True)
class Cause:
    """A difference in what two receipts were made from, and the stages that it affects directly."""

    what: str
    then: str
    now: str
    stages: frozenset[str]

    def affects(self, stage: str) -> bool:
        """Return whether it affects a stage, directly or through one that the stage reads from."""
        return stage in self.stages or any(self.affects(needed) for needed in STAGE[stage].needs)

    def __str__(self) -> str:
        return f"{self.what}: {self.then or 'none'} → {self.now or 'none'}"


@dataclass(frozen=True)
class Line:
    """The verdict on one file or metric: the value in the receipt, the present value, and why they may differ."""

    stage: str
    name: str
    verdict: str
    then: str = ""
    now: str = ""
    why: str = ""


def judge(kept: Receipt, made: Receipt) -> tuple[list[Line], list[Cause]]:
    """Compare two receipts of the same run, `kept` from before and `made` again.

    Returns:
        A line for each metric and file of `kept`, and the causes of differences.
    """
    causes = find_causes(kept, made)
    lines: list[Line] = []
    for stage in kept.stages:
        here = [cause for cause in causes if cause.affects(stage)]
        metrics = list(judge_metrics(kept, made, stage, here))
        agree = all(line.verdict != DIFFERENT for line in metrics)
        lines += [*metrics, *judge_files(kept, made, stage, here, agree)]
    return lines, causes


def judge_metrics(kept: Receipt, made: Receipt, stage: str, causes: list[Cause]) -> Iterator[Line]:
    """Compare a stage's metrics, without those that may differ between equal runs."""
    then, now = kept.metrics[stage], made.metrics.get(stage, {})
    metrics = {name: value for measured in kept.metrics.values() for name, value in measured.items()}
    for name in dict.fromkeys([*then, *now]):
        if VOLATILE.fullmatch(name) or name in PLACES:
            continue
        a, b = then.get(name), now.get(name)
        if a == b:
            yield Line(stage, name, IDENTICAL, str(a), str(b))
            continue
        limit = tolerance(name, a, metrics) if causes else 0.0
        near = limit > 0 and isinstance(b, int | float) and abs(b - a) <= limit  # type: ignore[operator]
        limits = f"at most {limit:.3g} apart; " if limit else ""
        yield Line(stage, name, WITHIN if near else DIFFERENT, str(a), str(b), limits + reasons(causes))


def judge_files(kept: Receipt, made: Receipt, stage: str, causes: list[Cause], agree: bool) -> Iterator[Line]:
    """Compare a stage's files.

    Other bytes are within tolerance when that has a cause and the stage's metrics `agree`, except for arrays that no
    rounding changes.
    """
    ours, theirs = ({n: a for n, a in r.artifacts.items() if a.stage == stage} for r in (kept, made))
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name), theirs.get(name)
        if a and b and (a.sha256 == b.sha256 or a.content == b.content):
            yield Line(stage, name, IDENTICAL, short(a), short(b))
            continue
        rounded = stage not in EXACT or name.endswith(".png")
        near = bool(a and b and causes and agree and rounded)
        yield Line(stage, name, WITHIN if near else DIFFERENT, short(a), short(b), reasons(causes))


def tolerance(name: str, value: Any, metrics: dict[str, Any]) -> float:
    """Return how far a metric may lie from its `value` in the receipt, whose other `metrics` hold the counts."""
    found = next(((kind, size) for pattern, kind, size in TOLERANCES if re.fullmatch(pattern, name)), None)
    if found is None or not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    try:
        return tolerance_of_kind(*found, name, value, metrics)
    except (ArithmeticError, TypeError, ValueError):  # a receipt with invalid counts
        return 0.0


def tolerance_of_kind(kind: str, size: float, name: str, value: float, metrics: dict[str, Any]) -> float:
    """Return how far a number may lie from another, by its kind of tolerance."""
    split = "val" if name.startswith("val_") else "test"
    count = metrics.get(f"{split}_count", 1)
    match kind:
        case "share":
            return size * math.sqrt(1 + count * min(value, 1 - value)) / count
        case "count":
            return size * math.sqrt(1 + value)
        case "depends on errors":
            errors = count * (1 - metrics.get(f"{split}_accuracy", 1.0))
            return value * size / math.sqrt(1 + errors)
        case "of all":
            return size * metrics.get(f"{name.split('_')[0]}_count", 0)
        case "relative":
            return size * abs(value)
    return size


def find_causes(kept: Receipt, made: Receipt) -> list[Cause]:
    """Return the differences of two receipts in parameters, data, code and machines."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for stage, what, then, now in [*differing_inputs(kept, made), *differing_stages(kept, made)]:
        if then != now:
            found.setdefault((what, str(then), str(now)), set()).add(stage)
    return [Cause(*key, frozenset(stages)) for key, stages in found.items()]


def differing_inputs(kept: Receipt, made: Receipt) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield stage, name, old and new value of parameters and data."""
    sections = {stage.section: stage.name for stage in STAGE.values()}
    then, now = flatten(kept.parameters), flatten(made.parameters)
    for name in dict.fromkeys([*then, *now]):
        if not name.startswith("execute."):
            yield sections.get(name.split(".")[0], "01_data"), name, then.get(name, "not there"), now.get(name)
    a, b = kept.data, made.data
    yield "01_data", "dataset", a.dataset, b.dataset
    if without_volatile(a.files) != without_volatile(b.files):
        yield "01_data", "raw files", "the receipt's", "others, by their checksums"
    for what, stage in (("handwriting", "04_evaluate"), ("input", "06_infer"), ("drawings", "06_infer")):
        x, y = getattr(a, what), getattr(b, what)
        yield stage, what, f"{len(x)} files", f"{len(y)} files" if x == y else f"{len(y)} files, not the same"


def differing_stages(kept: Receipt, made: Receipt) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield stage, name, old and new value of each stage's code and machine."""
    for stage in kept.stages.keys() & made.stages.keys():
        ours, theirs = kept.stages[stage], made.stages[stage]
        if ours.notebook != theirs.notebook:
            then, now = (bytes_digest("".join(one.notebook).encode()) for one in (ours, theirs))
            yield stage, f"notebook of {stage}", of_commit(then, ours.commit), of_commit(now, theirs.commit)
        for name in sorted(ours.modules.keys() | theirs.modules.keys()):
            x, y = ours.modules.get(name, ""), theirs.modules.get(name, "")
            if x != y:
                yield stage, f"module {name}", of_commit(x, ours.commit), of_commit(y, theirs.commit)
        a, b = kept.machine(stage), made.machine(stage)
        for name in ("system", "processor", "gpu"):
            yield stage, name, a.get(name), b.get(name)
        yield stage, "processor's features", *only_here(a.get("features", []), b.get("features", []))
        for name in ("versions", "settings"):
            x, y = a.get(name, {}), b.get(name, {})
            yield from ((stage, key, x.get(key, ""), y.get(key, "")) for key in sorted(x.keys() | y.keys()))
        threads = [m.get("settings", {}).get("OMP_NUM_THREADS") for m in (a, b)]
        if None in threads:
            yield stage, "cores", a.get("cores"), b.get("cores")
        if stage == "04_evaluate":
            yield stage, "fonts", a.get("fonts"), b.get("fonts")


def of_commit(digest: str, commit: str) -> str:
    """Return the first digits of a hash of code, with its commit."""
    return f"{digest[:8]}{f' of {commit}' if commit else ''}"


def only_here(then: Iterable[str], now: Iterable[str]) -> tuple[str, str]:
    """Return what only the first list has, and what only the second has."""
    a, b = set(then), set(now)
    return " ".join(sorted(a - b)), " ".join(sorted(b - a))


def reasons(causes: list[Cause]) -> str:
    """Join causes into one line."""
    return "; ".join(map(str, causes)) or NOTHING


def short(artifact: Artifact | None) -> str:
    """Return the first digits of a file's hash."""
    return artifact.sha256[:12] if artifact else "not there"
