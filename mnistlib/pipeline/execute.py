"""Run stages that are stale: `python -m mnistlib execute 03_train --run RUN`.

The only module that knows papermill.

Exit codes: 0 ok; 1 failed; 2 refused before anything was touched; 124 timed out; 137 the kernel died;
130 and 143 interrupted.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistlib.core.config import check, load, load_file, notebook_parameters
from mnistlib.core.config_schema import Params
from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.core.log import Lines, close_log, log_place, log_to, logger
from mnistlib.core.system_info import describe_machine
from mnistlib.pipeline.commit import finish, judge, undisturbed
from mnistlib.pipeline.kernel import EarlyKernel
from mnistlib.pipeline.plan import check_still_there, inputs_now, reasons
from mnistlib.pipeline.progress_line import terminal
from mnistlib.runs import fingerprint, previous_model
from mnistlib.runs.layout import Run
from mnistlib.runs.lock import make_writable
from mnistlib.runs.raw_data import raw_files
from mnistlib.runs.record import (
    DIED,
    FAILED,
    INTERRUPTED,
    OK,
    TIMED_OUT,
    Inputs,
    Record,
    begin_record,
    duration_estimate,
    missing_outputs,
    workload_digest,
)
from mnistlib.runs.stages import STAGE, Stage

EXIT = {OK: 0, FAILED: 1, TIMED_OUT: 124, DIED: 137, INTERRUPTED: 130}


def run_stages(names: Sequence[str], run: str) -> int:
    """Execute those of the stages that are stale, in this order.

    Args:
        names: stages, such as 03_train.
        run: name of the run.

    Returns:
        The exit code of the first stage that is not ok, else 0.

    Raises:
        RunError: a name is no stage's.
    """
    import psutil

    if unknown := [name for name in names if name not in STAGE]:
        raise RunError(f"{unknown[0]!r} is no stage; the stages are {', '.join(STAGE)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # under nohup a closed terminal ends nothing
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    began = psutil.Process().create_time()
    try:
        for name in names:
            if code := run_stage(run, STAGE[name], began):
                return code
            began = time.time()
    except KeyboardInterrupt:  # between two stages: nothing is cut off
        return EXIT[INTERRUPTED]
    return 0


def run_stage(name: str, stage: Stage, began: float) -> int:
    """Execute the stage unless it is up to date; return the exit code. `began` is in seconds since 1970."""
    try:
        run = Run(name)
        resolved = checked_parameters(run, stage)
        if not reasons(run, stage, resolved):  # a stage before it has left just what it left before
            return 0
        parameters = notebook_parameters(resolved, stage.section, run.name)
        check_input(run, parameters.get("input", ""))
        expected = duration_estimate(run, stage.name, parameters)
        last_line = terminal(stage.name, expected, parameters.get("epochs", 0), began)
        make_writable(run)
        inputs = inputs_now(run, stage, resolved)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        log_to(run.log, stage.name, last_line)
        return execute(run, stage, parameters, inputs, resolved.execute, began)
    except (RunError, OSError) as error:  # a full disk, as a rule: not even the record can be written
        close_log()
        print(error, file=sys.stderr)
        return EXIT[FAILED]
    finally:
        close_log()


def checked_parameters(run: Run, stage: Stage) -> Params:
    """Return the run's parameters, checked against the schema and the notebook's own cell. Raises RunError."""
    asked = run.params()
    resolved = check(load_file(asked), shown(asked)) if asked.is_file() else load()
    parameters = notebook_parameters(resolved, stage.section, run.name)
    declared = fingerprint.parameter_names(stage.notebook)
    unknown, lacking = set(parameters) - declared, declared - set(parameters)
    if unknown or lacking:
        raise RunError(
            f"{shown(stage.notebook)}'s parameters cell does not fit the schema: "
            f"lacks {sorted(unknown) or 'nothing'}, has unknown {sorted(lacking) or 'nothing'}"
        )
    return resolved


def check_input(run: Run, text: str) -> None:
    """Raise RunError where the pictures of INPUT are gone; the front page then shows the stages that have run."""
    try:
        check_still_there(run, text)
    except RunError:
        from mnistlib.reporting import front_page

        front_page.write_index(run)
        raise


def execute(run: Run, stage: Stage, parameters: dict[str, Any], inputs: Inputs, limits: Any, began: float) -> int:
    """Run the notebook of a stage, keep it, and write the record of the stage.

    Args:
        run: the run.
        stage: the stage.
        parameters: of the notebook, by name.
        inputs: what the record says that the stage was made from.
        limits: the section `execute` of the parameters, with the time-outs.
        began: when the runner started, in seconds since 1970.

    Returns:
        The exit code.
    """
    kernel, cells = EarlyKernel(), Cells(len(fingerprint.read_cells(stage.notebook)), began)
    work = run.notebook(stage.name).with_name(f".{stage.name}.part.ipynb")
    verdict, error, cell, code = OK, "", 0, 0
    try:
        logger.info("── %s → runs/%s", stage.name, run.name)  # after the fork above: the live line's clock is a thread
        work.parent.mkdir(parents=True, exist_ok=True)
        if stage.name == "03_train":
            previous_model.keep(run)
        begin_record(run, stage.name, inputs)
        run_notebook(stage, work, parameters, limits, kernel, cells)
        lacking = missing_outputs(run, stage.name)
        if lacking:
            verdict, error = FAILED, f"the notebook ended without leaving {', '.join(lacking)}"
    except (Exception, KeyboardInterrupt, SystemExit) as caught:  # whatever it was, the status must say so
        verdict, error, cell = judge(caught)
        code = caught.code if isinstance(caught, SystemExit) and isinstance(caught.code, int) else EXIT[verdict]
    with undisturbed():
        kernel.close()
        record = Record(
            stage.name,
            verdict,
            inputs=replace(inputs, outside=raw_files(run)) if stage.section == "data" else inputs,
            seconds=cells.seconds(),
            peak_memory_bytes=kernel.peak_memory(),
            error=error,
            cell=cell,
            commit=fingerprint.code_version(),
            alike=workload_digest(run, stage.name, parameters),
            machine=describe_machine(),
        )
        finish(run, work, record)
    return code or EXIT[verdict]


def run_notebook(
    stage: Stage, work: Path, parameters: dict[str, Any], limits: Any, kernel: EarlyKernel, cells: Cells
) -> None:
    """Execute into the file `work`, in a kernel that has been started. Raises what papermill raises."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # 1.3 s of import for a check not used
    import papermill

    papermill.execute_notebook(
        stage.notebook,
        work,
        parameters=parameters,
        kernel_name="python3",
        progress_bar=False,
        stdout_file=Lines(logging.INFO),
        stderr_file=Lines(logging.WARNING),
        start_timeout=limits.startup_timeout,
        execution_timeout=limits.timeout or None,
        store_widget_state=False,
        shutdown_kernel="immediate",  # all is written; to let it end by itself takes a second
        coalesce_streams=True,
        kernel_manager_class=kernel.manager_class(),
        on_cell_start=cells.start,
    )


class Cells:
    """Log each of `count` cells as it starts, and measure what they take; `began` is in seconds since 1970."""

    def __init__(self, count: int, began: float) -> None:
        self.count, self.began = count, began
        self.starts: list[tuple[float, bool]] = []  # seconds since 1970, and whether it is the cell of the imports

    def start(self, cell: Any, cell_index: int) -> None:
        """Note that a cell of any kind starts: nbclient's `on_cell_start`."""
        self.starts.append((time.time(), "setup" in cell.metadata.get("tags", [])))
        if cell.cell_type == "code":
            # papermill has put a cell of parameters in before, so that its index is the place in the notebook
            log_place(f"cell {max(1, cell_index)} of {self.count}")

    def seconds(self) -> dict[str, float]:
        """Return the seconds until now of start-up, imports and work; of start-up alone before any cell."""
        now = time.time()
        if not self.starts:
            return {"start": now - self.began}
        first = self.starts[0][0]
        ends = [*(moment for moment, _ in self.starts[1:]), now]
        imports = sum(end - moment for (moment, is_setup), end in zip(self.starts, ends, strict=True) if is_setup)
        return {"start": first - self.began, "imports": imports, "work": now - first - imports}
