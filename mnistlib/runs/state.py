"""Tell which results of a run are current, with which parameters they were made, and what was measured."""

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
from mnistlib.core.files import read_json
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.record import NOT_RUN, OK, STALE, Record, read_record
from mnistlib.runs.stages import STAGE


def needs(run: Run, stage: str) -> tuple[str, ...]:
    """Return the stages that a stage reads from; none in a fine-tuned run, which only executes 06."""
    return () if is_fine_tuned(run) else STAGE[stage].needs


def current_records(run: Run) -> dict[str, Record]:
    """Return the record of each stage, as pages and receipts show it.

    Returns:
        Records by stage. The verdict is `stale` where a stage ended well, but other parameters have been requested
        since, a file that it read has changed, or a stage that it reads from is not ok. Outputs are not hashed.
    """
    stamp = tuple(stat_key(path) for path in (run.params(), *run.folder.glob("*/*.json")))
    return dict(compute_records(run, run.folder, stamp))


def stat_key(path: Path) -> tuple[str, int, int]:
    """Return a key that changes whenever the file is written, for a cache that lasts as long as this process."""
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_ino


@lru_cache(maxsize=64)
def compute_records(run: Run, folder: Path, stamp: tuple[Any, ...]) -> dict[str, Record]:
    """Return `current_records`; cached while `stamp`, the state of the run's files, is the same."""
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
    """Return whether a record names other parameters than the requested ones, or files that have changed."""
    if record.inputs is None:
        return True
    section = {**asked.get(STAGE[record.stage].section, {}), "seed": asked.get("seed")} if asked else {}
    ours = record.inputs.parameters
    return any(ours.get(name) != value for name, value in section.items()) or (
        record.inputs.reads != run.input_digests(record.stage)
    )


def all_ok(run: Run, stage: str, found: Mapping[str, Record]) -> bool:
    """Return whether the stages that a stage reads from are ok or, run by hand, current."""
    return all(
        found[needed].verdict == OK or (found[needed].verdict == NOT_RUN and is_current_by_hand(run, needed, found))
        for needed in needs(run, stage)
    )


def is_current(run: Run, stage: str) -> bool:
    """Return whether the results of a stage may be shown.

    Returns:
        True when its record is ok, or when it was run by hand from the present files.
    """
    found = current_records(run)
    return found[stage].verdict == OK or (found[stage].verdict == NOT_RUN and is_current_by_hand(run, stage, found))


def is_current_by_hand(run: Run, stage: str, found: Mapping[str, Record]) -> bool:
    """Return whether a stage without a record was made from the present files.

    Its metrics name their digests. A stage without metrics counts as current.
    """
    if not run.metrics(stage).is_file():
        return True
    try:
        read = read_json(run.metrics(stage), hint="").get("read")
    except RunError:
        return False
    return read == run.input_digests(stage) and all_ok(run, stage, found)


def merged_metrics(run: Run) -> dict[str, Any]:
    """Return the metrics of all current stages in one mapping, later stages last, without damaged files."""
    merged: dict[str, Any] = {}
    for stage in (stage for stage in STAGE if is_current(run, stage)):
        with suppress(RunError):
            merged.update(run.read_metrics(stage))
    return merged


def parameters_used(run: Run, stage: str = "") -> dict[str, Any]:
    """Return the parameters with which the results in the run were made.

    Args:
        stage: only this stage and those it depends on; empty means all stages.

    Returns:
        Values by dotted name, from the records; for stages that never ran, the requested ones.
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
    """Return the stages that a stage depends on, directly or not."""
    return set(STAGE[stage].needs).union(*map(all_needs, STAGE[stage].needs))
