"""What of a run may be told: whether each stage stands, what it was made with, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mnistlib.core import config as parameters
from mnistlib.core.config_schema import RENAMED
from mnistlib.core.errors import RunError
from mnistlib.core.files import file_digest, read_json
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.record import NOT_RUN, OK, STALE, Record, read_record
from mnistlib.runs.stages import STAGE


def reads_now(run: Run, stage: str) -> dict[str, str]:
    """Return the SHA-256 of the files that the stage reads of earlier ones, those that are there."""
    names = [name for needed in STAGE[stage].needs for name in STAGE[needed].provides]
    return {name: file_digest(run.folder / name) for name in names if (run.folder / name).is_file()}


def needs(run: Run, stage: str) -> tuple[str, ...]:
    """Return the stages that a stage reads from; none in a fine-tuned run, where 06 alone is ever executed."""
    return () if is_fine_tuned(run) else STAGE[stage].needs


def standing(run: Run) -> dict[str, Record]:
    """Return the record of each stage as pages and receipts may tell it.

    The verdict is `stale` where a stage ended well, but other parameters have been asked for since, what it read from
    an earlier stage is another by now, or such a stage is not ok itself. Outputs are not hashed for this.
    """
    stamp = tuple(stat_key(path) for path in (run.params(), *run.folder.glob("*/*.json")))
    return dict(stand(run, run.folder, stamp))


def stat_key(path: Path) -> tuple[str, int, int]:
    """Return what changes whenever a file is written anew, for a cache that lasts as long as this process."""
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_ino


@lru_cache(maxsize=64)
def stand(run: Run, folder: Path, stamp: tuple[Any, ...]) -> dict[str, Record]:
    """Return `standing`, computed once while the run's files, known by `stamp`, are the same."""
    asked: dict[str, Any] = {}
    with suppress(RunError):
        asked = parameters.load_file(run.params())
    found: dict[str, Record] = {}
    for name in STAGE:
        record = read_record(run, name)
        if record.verdict == OK and (is_outdated(run, record, asked) or not all_ok(run, name, found)):
            record = replace(record, verdict=STALE)
        found[name] = record
    return found


def is_outdated(run: Run, record: Record, asked: Mapping[str, Any]) -> bool:
    """Return whether a record names other parameters than were asked for, or files that are others by now."""
    if record.inputs is None:
        return True
    section = {**asked.get(STAGE[record.stage].section, {}), "seed": asked.get("seed")} if asked else {}
    ours = record.inputs.parameters
    return any(ours.get(name) != value for name, value in section.items()) or (
        record.inputs.reads != reads_now(run, record.stage)
    )


def all_ok(run: Run, stage: str, found: Mapping[str, Record]) -> bool:
    """Return whether the stages that a stage reads from are ok, or, run by hand, left just what it read."""
    return all(
        found[needed].verdict == OK or (found[needed].verdict == NOT_RUN and by_hand_stands(run, needed, found))
        for needed in needs(run, stage)
    )


def stands(run: Run, stage: str) -> bool:
    """Return whether what the stage left may be told: it is ok, or was run by hand from what lies there now."""
    found = standing(run)
    return found[stage].verdict == OK or (found[stage].verdict == NOT_RUN and by_hand_stands(run, stage, found))


def by_hand_stands(run: Run, stage: str, found: Mapping[str, Record]) -> bool:
    """Return whether a stage without a record was made from what lies there: its metrics name the digests of that.

    So it is of one that left no metrics.
    """
    if not run.metrics(stage).is_file():
        return True
    try:
        read = read_json(run.metrics(stage), hint="").get("read")
    except RunError:
        return False
    return read == reads_now(run, stage) and all_ok(run, stage, found)


def merged_metrics(run: Run) -> dict[str, Any]:
    """Return the metrics of all stages that stand, flat, later stages last; without those that are damaged."""
    merged: dict[str, Any] = {}
    for stage in (stage for stage in STAGE if stands(run, stage)):
        with suppress(RunError):
            merged.update(run.read_metrics(stage))
    return merged


def parameters_used(run: Run, stage: str = "") -> dict[str, Any]:
    """Return the parameters by dotted names that what lies in the run was made with, for a `stage` or for all.

    They come from the records; for stages that never ran, from what was asked for.
    """
    asked: dict[str, Any] = {}
    with suppress(RunError):
        asked = parameters.flatten(parameters.load_file(run.params()))
    chosen = [stage, *all_needs(stage)] if stage else list(STAGE)
    sections = {STAGE[name].section for name in chosen}
    made = {name: value for name, value in asked.items() if not stage or name.partition(".")[0] in {*sections, "seed"}}
    for name in sorted(chosen):
        inputs = read_record(run, name).inputs
        for key, value in (inputs.parameters if inputs else {}).items():
            made[key if key == "seed" else f"{STAGE[name].section}.{key}"] = value
    return {RENAMED.get(name, name): value for name, value in made.items()}


def all_needs(stage: str) -> set[str]:
    """Return the stages that a stage depends on, near and far."""
    return set(STAGE[stage].needs).union(*map(all_needs, STAGE[stage].needs))
