"""Records of stages as their runner leaves them, for tests that run none."""

from typing import Any

from mnistlib.plan import reads_now
from mnistlib.record import OK, Inputs, Record, write_record
from mnistlib.rundir import Run


def keep_record(run: Run, stage: str, verdict: str = OK, parameters: dict[str, Any] | None = None, **more: Any) -> None:
    """Write a record that names what lies in the run now as what the stage read."""
    inputs = Inputs(parameters or {}, [], {}, reads_now(run, stage), {})
    write_record(run, Record(stage, verdict, inputs=inputs, **more))
