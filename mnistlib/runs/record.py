"""Record how a stage ended, its inputs and its outputs: one file a stage, written by its runner."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from mnistlib.core.errors import RunError
from mnistlib.core.files import (
    LARGEST_JSON,
    bytes_digest,
    file_digest,
    read_regular,
    write_json,
)
from mnistlib.core.json_checks import parse_json
from mnistlib.runs.layout import Run, existing_runs
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.stages import OPTIONAL_OUTPUTS, required_outputs

OK, FAILED, DIED, TIMED_OUT, INTERRUPTED = "ok", "failed", "died", "timed out", "interrupted"
NOT_RUN, RUNNING, STALE = "not run", "running", "stale"
FORMAT: Literal[2] = 2
OPENED_BY_PEOPLE = ("notebooks/", "data/inference/")  # a user may open and save these without changing a result
VOLATILE = re.compile(r"(.*_)?(seconds|bytes)|train_device")
PLACES = {"source", "folder", "file"}
FileName = Annotated[str, Field(pattern=r"^(data|metrics|models|notebooks|reports)(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$")]
VERDICTS = (OK, FAILED, DIED, TIMED_OUT, INTERRUPTED, NOT_RUN, RUNNING, STALE)
Verdict = Annotated[str, Field(pattern=f"^({'|'.join(VERDICTS)})$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Inputs:
    """What a stage is made from.

    `parameters`: those of its notebook without `run`; `notebook`: a digest of each cell; `code`: a digest of each
    module that the notebook imports; `reads`: SHA-256 of the files that it reads from earlier stages, by their paths in
    the run; `outside`: SHA-256 of dataset files, drawings and pictures, by their paths in the project.
    """

    parameters: dict[str, Any]
    notebook: list[str]
    code: dict[str, str]
    reads: dict[str, str]
    outside: dict[str, str]


@dataclass(frozen=True)
class Output:
    """A file that a stage left: SHA-256, size in bytes, and the SHA-256 of its content without times and places."""

    sha256: Digest
    bytes: int
    content: Digest


@dataclass(frozen=True)
class Record:
    """The verdict of a stage with its inputs and outputs.

    `seconds` by phase (start, imports, work); `error`: the message, with its `cell`; `commit`: the git commit, `-dirty`
    where files differed; `process`: the runner's number and its start, in seconds since 1970; `alike`: a digest of what
    the duration depends on; `machine`: the machine that it ran on.
    """

    stage: str
    verdict: Verdict
    format: Literal[2] = FORMAT
    inputs: Inputs | None = None
    outputs: dict[FileName, Output] = field(default_factory=dict)
    finished: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    error: str = ""
    cell: int = 0
    commit: str = ""
    process: tuple[Annotated[int, Field(ge=0, lt=2**31)], float] = (0, 0.0)
    alike: str = ""
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())


RECORD = TypeAdapter(Record)


def write_record(run: Run, record: Record) -> None:
    """Write the stage's record with the present time. Raises RunError."""
    write_json(run.status(record.stage), {**asdict(record), "finished": time.strftime("%Y-%m-%d %H:%M:%S")})


def read_record(run: Run, stage: str) -> Record:
    """Read the record of a stage.

    Returns:
        The record. Its verdict is `not run` when the file is missing, damaged or of another version, and `died` when
        the runner is gone without a verdict.
    """
    try:
        content = read_regular(run.status(stage), LARGEST_JSON)
        parse_json(content)  # it refuses numbers that pydantic accepts where any value is allowed
        kept = RECORD.validate_json(content, strict=True)
    except (OSError, ValueError):
        return Record(stage, NOT_RUN)
    if kept.stage != stage:
        return Record(stage, NOT_RUN)
    if kept.verdict == RUNNING and not is_alive(*kept.process):
        return replace(kept, verdict=DIED, error="its runner was killed, or the machine stopped")
    return kept


def begin_record(run: Run, stage: str, inputs: Inputs) -> Record:
    """Record that this process executes the stage from these inputs; the last verdict is lost. Raises RunError."""
    import psutil

    record = Record(stage, RUNNING, inputs=inputs, process=(os.getpid(), psutil.Process().create_time()))
    write_record(run, record)
    return record


def is_alive(process: int, began: float) -> bool:
    """Return whether the process exists and started at `began`, so that it is not another with the same number."""
    import psutil

    try:
        return abs(psutil.Process(process).create_time() - began) < 1
    except psutil.Error:
        return False


def describe_outputs(run: Run, stage: str, pictures_given: bool) -> dict[str, Output]:
    """Return the digests of the files that the stage left, by path in the run.

    Args:
        stage: the name of the stage.
        pictures_given: whether 06 had a user's pictures; the examples of an earlier 06 do not count then.
    """
    patterns = () if pictures_given else OPTIONAL_OUTPUTS.get(stage, ())
    some = [path.relative_to(run.folder).as_posix() for pattern in patterns for path in run.folder.glob(pattern)]
    names = [*required_outputs(stage), *sorted(some), f"notebooks/{stage}.ipynb"]
    return {name: describe_output(run, name) for name in names if (run.folder / name).is_file()}


def describe_output(run: Run, name: str) -> Output:
    """Return the digests of one file of the run."""
    path = run.folder / name
    digest = file_digest(path)
    content = content_digest(path, run.name) if path.suffix in (".json", ".csv") else digest
    return Output(digest, path.stat().st_size, content)


def content_digest(path: Path, run_name: str) -> str:
    """Return a hash of a text file without the run's name.

    A JSON file is also hashed without seconds, bytes and places, and with nine digits of each number, because the last
    ones depend on the processor's order of sums.
    """
    text = path.read_text(encoding="utf-8").replace(f"runs/{run_name}/", "runs/RUN/")
    if path.suffix == ".json":
        text = json.dumps(without_volatile(json.loads(text)), sort_keys=True)
    return bytes_digest(text.encode())


def without_volatile(value: Any) -> Any:
    """Return a JSON value without what may differ between equal runs."""
    if isinstance(value, dict):
        return {k: without_volatile(v) for k, v in value.items() if not VOLATILE.fullmatch(k) and k not in PLACES}
    if isinstance(value, list):
        return [without_volatile(v) for v in value]
    return f"{value:.9g}" if isinstance(value, float) else value


def missing_outputs(run: Run, stage: str) -> list[str]:
    """Return the required files that the stage has not left."""
    return [name for name in required_outputs(stage) if not (run.folder / name).is_file()]


def lost_outputs(run: Run, record: Record) -> list[str]:
    """Describe which outputs are missing or changed since the stage wrote them."""
    lost = []
    for name, output in record.outputs.items():
        path = run.folder / name
        if not path.is_file():
            lost.append(f"{name} is missing")
        elif not name.startswith(OPENED_BY_PEOPLE) and file_digest(path) != output.sha256:
            lost.append(f"{name} was changed")
    return lost


def duration_estimate(run: Run, stage: str, parameters: Mapping[str, Any]) -> float:
    """Return the seconds of the last success with the same work, of this run first; 0 without one."""
    alike = workload_digest(run, stage, parameters)
    for kept in (read_record(one, stage) for one in [run, *existing_runs()]):
        if kept.verdict == OK and kept.alike == alike:
            return kept.total_seconds
    return 0.0


def workload_digest(run: Run, stage: str, parameters: Mapping[str, Any]) -> str:
    """Hash what the duration of a stage depends on: parameters, dataset, machine, and its share of the cores."""
    work = {name: value for name, value in parameters.items() if name not in ("run", "seed")}
    try:
        dataset = "" if stage == "01_data" else read_raw(run, hint="").get("dataset", "")
    except RunError:
        dataset = ""
    machine = [platform.node(), os.cpu_count(), os.environ.get("OMP_NUM_THREADS", "")]
    return bytes_digest(json.dumps([stage, work, str(dataset), machine], sort_keys=True).encode())
