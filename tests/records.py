"""Records of stages as their runner leaves them, and descriptions of models, for tests that run none."""

from dataclasses import asdict
from typing import Any

from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import FORMAT, with_digest
from mnistlib.runs.record import OK, Inputs, Record, write_record
from mnistlib.training.model import Architecture


def keep_record(run: Run, stage: str, verdict: str = OK, parameters: dict[str, Any] | None = None, **more: Any) -> None:
    """Write a record that names what lies in the run now as what the stage read."""
    inputs = Inputs(parameters or {}, [], {}, run.input_digests(stage), {})
    write_record(run, Record(stage, verdict, inputs=inputs, **more))


def describe_model(**changes: Any) -> dict[str, Any]:
    """A description of a model as `model.json` holds it, its digest right whatever the changes are."""
    parts = asdict(Architecture())
    lists = {name: list(value) for name, value in parts.items() if isinstance(value, tuple)}
    described = {"format": FORMAT, "architecture": parts | lists, "input": "", "classes": [], "parameters": 1}
    return with_digest(described | {"weights_sha256": "0" * 64, "training": {}} | changes)
