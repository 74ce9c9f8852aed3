"""Run one stage: `python -m mnistlib.execute 03_train --run RUN`. The only place that knows papermill.

Exit codes: 0 ok; 1 failed; 2 refused before anything was touched; 124 timed out; 137 the kernel died;
130 and 143 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistlib import source
from mnistlib.artifacts import missing, traces
from mnistlib.cells import Cells
from mnistlib.files import RunError, shown
from mnistlib.given import check_still_there
from mnistlib.kernel import EarlyKernel
from mnistlib.liveline import terminal
from mnistlib.log import TAKEN_AWAY, Lines, close_log, log_place, log_to, log_verdict, logger
from mnistlib.machine import describe_machine
from mnistlib.rundir import Run, make_writable
from mnistlib.stages import STAGE, Stage
from mnistlib.status import (
    DIED,
    FAILED,
    INTERRUPTED,
    OK,
    TIMED_OUT,
    Status,
    begin_status,
    hand_on,
    undisturbed,
    write_status,
)
from mnistlib.usual import likeness, usual_seconds

EXIT = {OK: 0, FAILED: 1, TIMED_OUT: 124, DIED: 137, INTERRUPTED: 130}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mnistlib.execute", description=__doc__)
    parser.add_argument("stage", choices=list(STAGE))
    parser.add_argument("--run", required=True, help="the run's name")
    given = parser.parse_args(arguments)
    try:
        run, stage = Run(given.run), STAGE[given.stage]
        parameters, limits = checked_parameters(run, stage)
        check_input(run, parameters.get("input", ""))
        last_line = terminal(stage.name, usual_seconds(run, stage.name, parameters), parameters.get("epochs", 0))
        make_writable(run)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # under nohup a closed terminal ends nothing
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    log_to(run.log, stage.name, last_line)
    try:
        return execute(run, stage, parameters, limits)
    finally:
        close_log()


def checked_parameters(run: Run, stage: Stage) -> tuple[dict[str, Any], Any]:
    """The notebook's parameters and the runner's, checked against the schema and the notebook's own cell.

    Raises RunError.
    """
    from mnistlib import params

    if run.params().is_file():
        resolved = params.check(params.load_file(run.params()), shown(run.params()))
    else:
        resolved = params.load()
    parameters = params.notebook_parameters(resolved, stage.section, run.name)
    declared = source.parameter_names(stage.notebook)
    unknown, missing = set(parameters) - declared, declared - set(parameters)
    if unknown or missing:
        raise RunError(
            f"{shown(stage.notebook)}'s parameters cell does not fit the schema: "
            f"lacks {sorted(unknown) or 'nothing'}, has unknown {sorted(missing) or 'nothing'}"
        )
    return parameters, resolved.execute


def check_input(run: Run, text: str) -> None:
    """Raises RunError where pictures given are gone; the front page then tells of the stages that have run before."""
    try:
        check_still_there(run, text)
    except RunError:
        from mnistlib import index

        index.write_index(run)
        raise


def execute(run: Run, stage: Stage, parameters: dict[str, Any], limits: Any) -> int:
    """Run the notebook; keep notebook, page and status; returns the exit code."""
    kernel, cells = EarlyKernel(), Cells(len(source.read_cells(stage.notebook)))
    work = run.notebook(stage.name).with_name(f".{stage.name}.part.ipynb")
    verdict, error, cell, code = OK, "", 0, 0
    try:
        logger.info("── %s → runs/%s", stage.name, run.name)  # after the fork above: the live line's clock is a thread
        work.parent.mkdir(parents=True, exist_ok=True)
        begin_status(run, stage.name)
        run_notebook(stage, work, parameters, limits, kernel, cells)
        lacking = missing(run, stage.name)
        if lacking:
            verdict, error = FAILED, f"the notebook ended without leaving {', '.join(lacking)}"
    except (Exception, KeyboardInterrupt, SystemExit) as caught:  # whatever it was, the status must say so
        verdict, error, cell = judge(caught)
        code = caught.code if isinstance(caught, SystemExit) and isinstance(caught.code, int) else EXIT[verdict]
    with undisturbed():
        kernel.close()
        seconds, peak, like = cells.seconds(), kernel.peak_memory(), likeness(run, stage.name, parameters)
        status = Status(stage.name, verdict, seconds=seconds, peak_memory_bytes=peak, error=error, cell=cell, like=like)
        status = replace(status, code=source.code_version(), machine=describe_machine())
        return finish(run, stage, work, status, code or EXIT[verdict])


def run_notebook(
    stage: Stage, work: Path, parameters: dict[str, Any], limits: Any, kernel: EarlyKernel, cells: Cells
) -> None:
    """Execute into the file `work`, in a kernel that is already starting. Raises what papermill raises."""
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


def judge(error: BaseException) -> tuple[str, str, int]:
    """Verdict, error in words and number of the cell (0: none) for what ended a notebook early."""
    name = type(error).__name__
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return INTERRUPTED, "interrupted before its end", 0
    if name == "DeadKernelError":
        return DIED, "the kernel died: out of memory, or killed from outside", 0
    if name == "CellTimeoutError":
        return TIMED_OUT, "a cell took longer than execute.timeout allows", 0
    if name == "PapermillExecutionError":
        return FAILED, f"{error.ename}: {error.evalue}", int(error.cell_index)  # type: ignore[attr-defined]
    return FAILED, f"{name}: {error}", 0


def finish(run: Run, stage: Stage, work: Path, status: Status, code: int) -> int:
    """Give the notebook its name, write page and status; returns the exit code."""
    from mnistlib import index, report

    ended_well = status.verdict == OK
    kept = run.notebook(stage.name) if ended_well else run.failed_notebook(stage.name)
    log_place("writing its page")
    began = time.perf_counter()
    status = replace(status, traces=traces(run, stage.name))
    write_status(run, status)
    if ended_well:
        hand_on(run, stage.name)
        run.failed_notebook(stage.name).unlink(missing_ok=True)
    else:
        run.notebook(stage.name).unlink(missing_ok=True)
    to_read = run.log
    if work.is_file():
        work.replace(kept)
        try:
            report.write_page(run, stage.name)
            to_read = run.page(stage.name)
        except Exception as error:  # the notebook is worth more than its page, which make tries again and then says why
            logger.log(logging.DEBUG if ended_well else logging.ERROR, "   no page: %s", error)
    status.seconds["page"] = time.perf_counter() - began
    write_status(run, status)
    tell(status, to_read)
    if not ended_well:
        index.write_index(run)
    return code


def tell(status: Status, to_read: Path) -> None:
    """Say how the stage ended, and where to read why."""
    logger.debug("   %s", ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in status.seconds.items()))
    if status.verdict == OK:
        log_verdict(logging.INFO, f"{status.stage} ok in {status.total_seconds:.1f} s")
        return
    where = f" in cell {status.cell}" if status.cell else ""
    log_verdict(logging.ERROR, f"{status.stage} {status.verdict}{where} after {status.total_seconds:.1f} s")
    for line in status.error.splitlines():
        logger.error("   %s", line)
    if status.verdict != INTERRUPTED or not os.environ.get(TAKEN_AWAY):
        logger.error("   read %s", shown(to_read))


if __name__ == "__main__":
    sys.exit(main())
