"""What a run was made of and what it left: `receipt.json`, written with the run's index, read by `make verify`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnistlib.artifacts import content_digest, left
from mnistlib.files import RunError, file_digest, read_json, shown, write_json
from mnistlib.given import named_pictures
from mnistlib.modelfile import check_made_by_make, is_taught
from mnistlib.params import flatten, load_file
from mnistlib.rundir import HANDWRITING, Run
from mnistlib.stages import STAGE
from mnistlib.status import OK, present_status, read_status

FORMAT = 1
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Strict, as the parameters are: no unknown names, no text for numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Artifact(Part):
    """A file that a stage left: its SHA-256, and that of its `content` where the bytes also tell of time or place."""

    stage: str
    bytes: int
    sha256: Digest
    content: Digest


class Executed(Part):
    """A stage: git commit (with `-dirty` where files differed), hashes of its notebook and of the modules that it
    imports, when it ended, seconds by phase, peak memory, and which of the receipt's machines it ran on."""

    commit: str
    notebook: Digest
    modules: Digest
    finished: str
    seconds: dict[str, float]
    peak_memory_bytes: int
    machine: Annotated[int, Field(ge=0)]


class Data(Part):
    """The dataset's files with their checksums; by SHA-256 the pictures given, the person's kept drawings that every
    model is scored on, and those drawn in this run."""

    dataset: str
    source: str
    folder: str
    fallback: bool
    files: list[dict[str, Any]]
    input: dict[str, Digest]
    handwriting: dict[str, Digest]
    drawings: dict[str, Digest]


class Receipt(Part):
    """All of it: parameters as resolved, data, stages, the machines they ran on, metrics by stage, files left."""

    format: Literal[1]
    run: str
    written: str
    seed: int
    parameters: dict[str, Any]
    data: Data
    stages: dict[str, Executed]
    machines: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    artifacts: dict[str, Artifact]

    def machine(self, stage: str) -> dict[str, Any]:
        """What a stage ran on."""
        return self.machines[self.stages[stage].machine]


def write_receipt(run: Run) -> None:
    """Write the run's receipt anew, of stages that are up to date; none for a run in which no stage is.

    What a stale stage was made of has been written over by what it will be made of.
    """
    done = [s for s in STAGE if present_status(run, s).verdict == OK and run.params(s).is_file()]
    if not done or not run.raw_json.is_file() or not run.params().is_file():
        run.receipt.unlink(missing_ok=True)
        return
    write_json(run.receipt, make_receipt(run, done).model_dump())


def make_receipt(run: Run, done: list[str]) -> Receipt:
    """The receipt of these stages. Raises RunError when what they left is not there."""
    parameters = load_file(run.params())
    statuses = [read_status(run, stage) for stage in done]
    machines = [s.machine for i, s in enumerate(statuses) if s.machine not in [t.machine for t in statuses[:i]]]
    stages = {}
    for status in statuses:
        resolved = load_file(run.params(status.stage))
        stages[status.stage] = Executed(
            commit=status.code,
            notebook=resolved["notebook"],
            modules=resolved["code"],
            finished=status.finished,
            seconds=status.seconds,
            peak_memory_bytes=status.peak_memory_bytes,
            machine=machines.index(status.machine),
        )
    return Receipt(
        format=1,
        run=run.name,
        written=time.strftime("%Y-%m-%d %H:%M:%S"),
        seed=parameters["seed"],
        parameters=parameters,
        data=describe_data(run, parameters),
        stages=stages,
        machines=machines,
        metrics={stage: run.read_metrics(stage) for stage in done},
        artifacts={name: describe_artifact(run, stage, name) for stage in done for name in left(run, stage)},
    )


def describe_data(run: Run, parameters: dict[str, Any]) -> Data:
    """What went into the run besides parameters and code."""
    raw = read_json(run.raw_json, hint="run 01_data first")
    kept = {name: raw[name] for name in ("dataset", "source", "folder", "fallback", "files")}
    found = {
        "input": input_hashes(run, parameters["infer"]["input"]),
        "handwriting": hashes(sorted(HANDWRITING.glob("*.json"))),
        "drawings": {path.parent.name: file_digest(path) for path in sorted(run.drawings.glob("[!.]*/drawing.json"))},
    }
    return Data.model_validate(kept | found)


def input_hashes(run: Run, text: str) -> dict[str, str]:
    """The pictures given by their hashes; once they are gone, as the receipt before names them."""
    try:
        return hashes(named_pictures(text) if text else [])
    except RunError:
        with suppress(RunError):
            before = load_receipt(run)
            return before.data.input if flatten(before.parameters).get("infer.input") == text else {}
        return {}


def hashes(paths: list[Path]) -> dict[str, str]:
    """SHA-256 of files by their paths."""
    return {shown(path): file_digest(path) for path in paths}


def describe_artifact(run: Run, stage: str, name: str) -> Artifact:
    """One file of a run by its hashes."""
    path = run.folder / name
    digest = file_digest(path)
    content = content_digest(path, run.name) if path.suffix in (".json", ".csv") else digest
    return Artifact(stage=stage, bytes=path.stat().st_size, sha256=digest, content=content)


def load_receipt(run: Run) -> Receipt:
    """The run's receipt. Raises RunError when it is missing, damaged or of another version, with what to do."""
    again = f"make all RUN={run.name} writes it anew from what lies there"
    if is_taught(run) and not run.receipt.is_file():
        raise RunError(
            f"runs/{run.name} was made by make teach, which leaves no receipt: verify the run it learnt from"
        )
    if not run.receipt.is_file():
        check_made_by_make(run)
    if not run.folder.is_dir():
        raise RunError(f"there is no {shown(run.folder)}: make verify RUN=name of a run that make all has made")
    content = read_json(run.receipt, hint=f"delete it, and {again}" if run.receipt.exists() else again)
    if content.get("format") != FORMAT:
        found = content.get("format")
        raise RunError(
            f"{shown(run.receipt)} is of version {found!r}, this code reads {FORMAT}: check out the code that wrote it "
            f"(its 'stages' name the commit), or {again} once you have deleted it"
        )
    try:
        receipt = Receipt.model_validate(content)
        for stage in receipt.stages:
            STAGE[stage], receipt.machine(stage), receipt.metrics[stage]
    except (ValidationError, KeyError, IndexError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else str(error)
        raise RunError(f"{shown(run.receipt)} is damaged at {where}: delete it, and {again}") from error
    return receipt
