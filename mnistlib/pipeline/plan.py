"""What is up to date and what is not, by content: the inputs of each stage now, held against its record."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from mnistlib.core import config as parameters
from mnistlib.core.config_schema import Params
from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, shown
from mnistlib.data.locations import better_source_exists, is_available_locally, raw_files_present
from mnistlib.runs import fingerprint
from mnistlib.runs.layout import HANDWRITING, Run
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.record import NOT_RUN, OK, Inputs, lost_outputs, read_record
from mnistlib.runs.stages import STAGE, STAGES, Stage
from mnistlib.runs.state import needs

DATASET_FILE = re.compile(r"ubyte(\.gz)?$")  # a record from elsewhere makes nobody read anything else
MOST = 3  # reasons of one kind that are named


def inputs_now(run: Run, stage: Stage, params: Params) -> Inputs:
    """Return what the stage would be made from now. Raises RunError for a notebook or module that cannot be read."""
    values = parameters.notebook_parameters(params, stage.section, run.name)
    del values["run"]
    return Inputs(
        parameters=json.loads(json.dumps(values)),
        notebook=fingerprint.cell_digests(stage.notebook),
        code=fingerprint.code_digests(stage.notebook),
        reads=run.input_digests(stage.name),
        outside=outside_now(run, stage, params),
    )


def outside_now(run: Run, stage: Stage, params: Params) -> dict[str, str]:
    """Return the SHA-256 of what the stage reads from outside the run.

    A dataset or pictures that are gone count as unchanged: the digests in the record stand.
    """
    before = read_record(run, stage.name).inputs
    recorded = before.outside if before else {}
    if stage.section == "data":
        there = {name for name in recorded if DATASET_FILE.search(name) and (ROOT / name).is_file()}
        return {name: file_digest(ROOT / name) if name in there else kept for name, kept in recorded.items()}
    if stage.section == "evaluate":
        return digests(sorted(HANDWRITING.glob("*.json")))
    if stage.section == "infer" and params.infer.input:
        try:
            return digests(named_pictures(params.infer.input))
        except RunError:
            return recorded
    return {}


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files by their paths."""
    return {shown(path): file_digest(path) for path in paths}


def named_pictures(text: str) -> list[Path]:
    """Return the pictures that INPUT names. Raises RunError when there are none."""
    from mnistlib.imaging.image_files import find_pictures  # only who gives pictures waits for what reads them

    return find_pictures(text)


def check_still_there(run: Run, text: str) -> None:
    """Raise RunError, with both ways out, where 06 cannot run because the pictures of INPUT are gone."""
    try:
        if text:
            named_pictures(text)
    except RunError as error:
        raise RunError(
            f"{error}\n06_infer has to run and cannot, because the pictures that runs/{run.name} was given are gone. "
            f"Its answers stay in {shown(run.inference)}.\n"
            "INPUT=… names the pictures where they are now, SET=infer.input= goes back to examples from the test set"
        ) from error


def stages_of(run: Run, goal: str) -> list[str]:
    """Return the stages that a goal (`all`, or a section such as `train`) asks for, in order."""
    if is_fine_tuned(run):
        return ["06_infer"]
    if goal == "all":
        return list(STAGE)
    wanted = {stage.name for stage in STAGES if stage.section == goal}
    for stage in reversed(STAGES):
        wanted |= set(stage.needs) if stage.name in wanted else set()
    return [name for name in STAGE if name in wanted]


def plan(run: Run, params: Params, goal: str) -> dict[str, list[str]]:
    """Return the stages to look at, in order, each with the reasons why it runs.

    A stage without a reason of its own runs only if a stage before it leaves something new.
    """
    todo: dict[str, list[str]] = {}
    for name in stages_of(run, goal):
        unsettled = {path for needed in needs(run, name) if needed in todo for path in STAGE[needed].provides}
        found = reasons(run, STAGE[name], params, unsettled)
        if found or any(needed in todo for needed in needs(run, name)):
            todo[name] = found
    return todo


def reasons(run: Run, stage: Stage, params: Params, unsettled: Collection[str] = ()) -> list[str]:
    """Return in words why the stage is not up to date; nothing when it is. Raises RunError.

    `unsettled` names files that a stage before it will write again: what they hold now is no reason yet.
    """
    record = read_record(run, stage.name)
    if record.verdict == NOT_RUN:
        earlier = run.status(stage.name).is_file() or run.metrics(stage.name).is_file()
        return ["was made by hand, or by an earlier version" if earlier else "has not run yet"]
    if record.verdict != OK:
        return [f"{record.verdict}{f' in cell {record.cell}' if record.cell else ''} before"]
    if record.inputs is None:
        return ["was made by an earlier version"]
    now = inputs_now(run, stage, params)
    settled = {name: digest for name, digest in now.reads.items() if name not in unsettled}
    now = replace(now, reads=record.inputs.reads | settled if unsettled else now.reads)
    lost = lost_outputs(run, record)
    data = data_reasons(run, params) if stage.section == "data" and not lost else []
    return [*differences(stage, record.inputs, now), *shorten(lost), *data]


def differences(stage: Stage, then: Inputs, now: Inputs) -> list[str]:
    """Return in words what differs between the recorded inputs of a stage and those of now."""
    changed = [name for name in {**then.parameters, **now.parameters} if differ(name, then.parameters, now.parameters)]
    named = {name: name if name == "seed" else f"{stage.section}.{name}" for name in changed}
    values = [(named[n], then.parameters.get(n, "none"), now.parameters.get(n, "none")) for n in changed]
    said = [f"{name} {shown_value(old)} → {shown_value(new)}" for name, old, new in values]
    said += changed_cells(then.notebook, now.notebook)
    modules = [name for name in {**then.code, **now.code} if differ(name, then.code, now.code)]
    said += shorten([f"module {name} changed" for name in modules])
    others = "infer.input" in named.values()  # then the pictures are others for this reason
    for old, new in ((then.reads, now.reads), ({}, {}) if others else (then.outside, now.outside)):
        said += shorten([what_became(name, old, new) for name in {**old, **new} if differ(name, old, new)])
    return said


def shown_value(value: Any) -> str:
    """Return a parameter's value in words; an empty text is seen as such."""
    return "none" if value == "" else str(value)


def differ(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a name stands in only one of two mappings, or for another value in each."""
    return name not in then or name not in now or then[name] != now[name]


def what_became(name: str, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words how a file that is read differs from the recorded one."""
    return f"{name} {'is new' if name not in then else 'is gone' if name not in now else 'changed'}"


def changed_cells(then: list[str], now: list[str]) -> list[str]:
    """Return which cells of a notebook were changed, added or taken away, by their numbers from 1."""
    said = []
    for kind, a, b, c, d in SequenceMatcher(None, then, now, autojunk=False).get_opcodes():
        if kind != "equal":
            first, last = (c, d) if d > c else (a, b)
            number = f"cell {first + 1}" if last - first == 1 else f"cells {first + 1} to {last}"
            said.append(f"{number} {'changed' if kind == 'replace' else 'added' if kind == 'insert' else 'removed'}")
    return shorten(said)


def shorten(said: list[str]) -> list[str]:
    """Return the first few of many, and how many more there are."""
    return said if len(said) <= MOST + 1 else [*said[:MOST], f"{len(said) - MOST} more like these"]


def data_reasons(run: Run, params: Params) -> list[str]:
    """Return why 01 would find the dataset elsewhere: the run made do without it, or its files have moved since."""
    if params.data.source == "digits":  # asked for, whatever else lies here
        return []
    raw = read_raw(run, hint="delete it and run make again")
    if not raw.get("fallback") and raw_files_present(raw):
        return []
    found = better_source_exists if raw.get("fallback") else is_available_locally
    if not found(params.data.dataset, params.data.local_dir):
        return []
    lacked = "the run had to do without it" if raw.get("fallback") else f"{raw.get('folder')} no longer holds it"
    return [f"{params.data.dataset} can be had now, and {lacked}"]
