"""Write and read `receipt.json`, which says what a run was made of and what it left; `make verify` reads it."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mnistlib.core.config import nested
from mnistlib.core.errors import RunError
from mnistlib.core.files import file_digest, read_json, shown, write_json
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import check_made_by_make, is_fine_tuned
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.record import OK, Digest, FileName, Record
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import current_records, parameters_used

FORMAT: Literal[3] = 3
Text = Annotated[str, Field(max_length=1000)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """Refuse unknown names, text for numbers, and NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Artifact(Strict):
    """A file that a stage left: its SHA-256, and that of its `content` without times and places."""

    stage: str
    bytes: Count
    sha256: Digest
    content: Digest


class Executed(Strict):
    """How a stage was executed.

    `commit`: the git commit, with `-dirty` where files differed; `notebook`, `modules`: digests of its cells and of the
    modules that it imports; `machine`: index of the machine that it ran on.
    """

    commit: Text
    notebook: list[Text]
    modules: dict[Text, Text]
    finished: Text
    seconds: dict[Text, Annotated[float, Field(ge=0)]]
    peak_memory_bytes: Count
    machine: Count


class Machine(Strict):
    """The machine of a stage, as `system_info.describe_machine` returns it."""

    versions: dict[Text, Text]
    system: Text
    processor: Text
    features: list[Text]
    cores: Count
    memory_bytes: Count
    gpu: Text
    settings: dict[Text, Text]
    fonts: Text


def check_machine(found: dict[str, Any]) -> dict[str, Any]:
    """Return the machine, validated; a record without one has an empty mapping. Raises ValidationError."""
    return Machine.model_validate(found).model_dump() if found else found


class Data(Strict):
    """The inputs of a run.

    `files`: the dataset's files with their checksums; by SHA-256, `input`: the user's pictures, `handwriting`: the
    user's kept drawings, on which every model is scored, `drawings`: those drawn in this run.
    """

    dataset: Literal["mnist", "fashion_mnist", "kmnist", "digits"]
    source: Literal["raw", "local", "download", "digits"]
    folder: Text
    fallback: bool
    files: list[dict[Text, int | Text]]
    input: dict[str, Digest]
    handwriting: dict[str, Digest]
    drawings: dict[str, Digest]


class Receipt(Strict):
    """A run's parameters, data, stages with their machines, metrics, and files by SHA-256.

    `pages`: SHA-256 of executed notebooks, pages, merged metrics and model card, which show the results.
    """

    format: Literal[3]
    run: Text
    written: Text
    seed: int
    parameters: dict[str, Any]
    data: Data
    stages: dict[str, Executed]
    machines: list[Annotated[dict[str, Any], AfterValidator(check_machine)]]
    metrics: dict[str, dict[Text, bool | int | float | Text]]
    artifacts: dict[FileName, Artifact]
    pages: dict[FileName, Digest]

    def machine(self, stage: str) -> dict[str, Any]:
        """Return the machine that a stage ran on."""
        return self.machines[self.stages[stage].machine]


def write_receipt(run: Run) -> None:
    """Write the receipt of a run from the records of its current stages.

    Without a current stage it writes nothing; with damaged files it prints why it writes nothing.
    """
    done = [record for record in current_records(run).values() if record.verdict == OK]
    if not done or not run.raw_json.is_file() or not run.params().is_file():
        return
    try:
        write_json(run.receipt, make_receipt(run, done).model_dump())
    except (RunError, KeyError, ValidationError) as error:
        print(f"   no receipt: {error!s:.200}", file=sys.stderr)


def make_receipt(run: Run, done: list[Record]) -> Receipt:
    """Return the receipt of stages by their records. Raises RunError when metrics or raw.json cannot be read."""
    machines = [r.machine for i, r in enumerate(done) if r.machine not in [s.machine for s in done[:i]]]
    made = nested(parameters_used(run))
    return Receipt(
        format=FORMAT,
        run=run.name,
        written=time.strftime("%Y-%m-%d %H:%M:%S"),
        seed=made["seed"],
        parameters=made,
        data=describe_data(run, {record.stage: record.inputs.outside for record in done if record.inputs}),
        stages={record.stage: describe_stage(record, machines.index(record.machine)) for record in done},
        machines=machines,
        metrics={record.stage: run.read_metrics(record.stage) for record in done},
        artifacts={
            name: Artifact(stage=record.stage, **asdict(output))
            for record in done
            for name, output in record.outputs.items()
            if not name.startswith("notebooks/")
        },
        pages=digest_pages(run, done),
    )


def digest_pages(run: Run, done: list[Record]) -> dict[str, str]:
    """Return the SHA-256 of executed notebooks, as their stages left them, and of the present pages."""
    left = {name: output.sha256 for record in done for name, output in record.outputs.items()}
    paths = [run.all_metrics, run.card, run.index, *map(run.page, STAGE)]
    pages = {path.relative_to(run.folder).as_posix(): file_digest(path) for path in paths if path.is_file()}
    return {name: digest for name, digest in left.items() if name.startswith("notebooks/")} | pages


def describe_stage(record: Record, machine: int) -> Executed:
    """Return a stage from its record; `machine` is the index of its machine."""
    inputs = record.inputs
    return Executed(
        commit=record.commit,
        notebook=inputs.notebook if inputs else [],
        modules=inputs.code if inputs else {},
        finished=record.finished,
        seconds=record.seconds,
        peak_memory_bytes=record.peak_memory_bytes,
        machine=machine,
    )


def describe_data(run: Run, outside: dict[str, dict[str, str]]) -> Data:
    """Return the run's inputs besides parameters and code; `outside` holds by stage the digests in the records."""
    raw = read_raw(run, hint="run 01_data first")
    kept = {name: raw[name] for name in ("dataset", "source", "folder", "fallback", "files")}
    found = {
        "input": outside.get("06_infer", {}),
        "handwriting": outside.get("04_evaluate", {}),
        "drawings": {path.parent.name: file_digest(path) for path in sorted(run.drawings.glob("[!.]*/drawing.json"))},
    }
    return Data.model_validate(kept | found)


def load_receipt(run: Run) -> Receipt:
    """Load the receipt of a run.

    Raises:
        RunError: it is missing, damaged or of another version; the message says what to do.
    """
    again = f"make all RUN={run.name} writes it again from the files of the run"
    if is_fine_tuned(run) and not run.receipt.is_file():
        raise RunError(
            f"runs/{run.name} was made by make teach, which writes no receipt: verify the run that it started from"
        )
    if not run.receipt.is_file():
        check_made_by_make(run)
    if not run.folder.is_dir():
        raise RunError(f"there is no {shown(run.folder)}: make verify RUN=name names a run that make all made")
    content = read_json(run.receipt, hint=f"delete it, and {again}" if run.receipt.exists() else again)
    if content.get("format") != FORMAT:
        found = content.get("format")
        raise RunError(
            f"{shown(run.receipt)} has version {found!r}, expected {FORMAT}: check out the code that wrote it "
            f"(its 'stages' name the commit), or {again} once you have deleted it"
        )
    try:
        receipt = Receipt.model_validate(content)
        for stage in receipt.stages:
            STAGE[stage], receipt.machine(stage), receipt.metrics[stage]
        Run(receipt.run)
    except (ValidationError, KeyError, IndexError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else str(error)
        raise RunError(f"{shown(run.receipt)} is damaged at {where}: delete it, and {again}") from error
    return receipt
