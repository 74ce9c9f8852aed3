"""Run one stage if it is stale: `python -m mnistlib.execute 03_train --run RUN`. The only place that knows papermill.

Exit codes: 0 ok; 1 failed; 2 refused before anything was touched; 124 timed out; 137 the kernel died;
130 and 143 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistlib import previous, source
from mnistlib.cells import Cells
from mnistlib.files import RunError, shown
from mnistlib.kernel import EarlyKernel
from mnistlib.liveline import terminal
from mnistlib.log import TAKEN_AWAY, Lines, close_log, log_place, log_to, log_verdict, logger
from mnistlib.machine import describe_machine
from mnistlib.made_of import made_of, page_digest
from mnistlib.params import check, load, load_file, notebook_parameters
from mnistlib.plan import check_still_there, inputs_now, reasons
from mnistlib.record import (
    DIED,
    FAILED,
    INTERRUPTED,
    OK,
    TIMED_OUT,
    Inputs,
    Record,
    alike_digest,
    begin_record,
    describe_outputs,
    duration_estimate,
    missing,
    raw_files,
    write_record,
)
from mnistlib.rundir import Run, make_writable
from mnistlib.schema import Params
from mnistlib.stages import STAGE, Stage

EXIT = {OK: 0, FAILED: 1, TIMED_OUT: 124, DIED: 137, INTERRUPTED: 130}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mnistlib.execute", description=__doc__)
    parser.add_argument("stage", choices=list(STAGE))
    parser.add_argument("--run", required=True, help="the run's name")
    given = parser.parse_args(arguments)
    try:
        run, stage = Run(given.run), STAGE[given.stage]
        resolved = checked_parameters(run, stage)
        if not reasons(run, stage, resolved):  # a stage before it has left just what it left before
            return 0
        parameters = notebook_parameters(resolved, stage.section, run.name)
        check_input(run, parameters.get("input", ""))
        last_line = terminal(stage.name, duration_estimate(run, stage.name, parameters), parameters.get("epochs", 0))
        make_writable(run)
        inputs = inputs_now(run, stage, resolved)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # under nohup a closed terminal ends nothing
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        log_to(run.log, stage.name, last_line)
        return execute(run, stage, parameters, inputs, resolved.execute)
    except (RunError, OSError) as error:  # a full disk, as a rule: not even the record can be written
        close_log()
        print(error, file=sys.stderr)
        return EXIT[FAILED]
    finally:
        close_log()


def checked_parameters(run: Run, stage: Stage) -> Params:
    """The run's parameters, checked against the schema and the notebook's own cell. Raises RunError."""
    asked = run.params()
    resolved = check(load_file(asked), shown(asked)) if asked.is_file() else load()
    parameters = notebook_parameters(resolved, stage.section, run.name)
    declared = source.parameter_names(stage.notebook)
    unknown, lacking = set(parameters) - declared, declared - set(parameters)
    if unknown or lacking:
        raise RunError(
            f"{shown(stage.notebook)}'s parameters cell does not fit the schema: "
            f"lacks {sorted(unknown) or 'nothing'}, has unknown {sorted(lacking) or 'nothing'}"
        )
    return resolved


def check_input(run: Run, text: str) -> None:
    """Raises RunError where pictures given are gone; the front page then tells of the stages that have run before."""
    try:
        check_still_there(run, text)
    except RunError:
        from mnistlib import index

        index.write_index(run)
        raise


def execute(run: Run, stage: Stage, parameters: dict[str, Any], inputs: Inputs, limits: Any) -> int:
    """Run the notebook; keep it and the record of what became of it; returns the exit code."""
    kernel, cells = EarlyKernel(), Cells(len(source.read_cells(stage.notebook)))
    work = run.notebook(stage.name).with_name(f".{stage.name}.part.ipynb")
    verdict, error, cell, code = OK, "", 0, 0
    try:
        logger.info("── %s → runs/%s", stage.name, run.name)  # after the fork above: the live line's clock is a thread
        work.parent.mkdir(parents=True, exist_ok=True)
        if stage.name == "03_train":
            previous.keep(run)
        begin_record(run, stage.name, inputs)
        run_notebook(stage, work, parameters, limits, kernel, cells)
        lacking = missing(run, stage.name)
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
            commit=source.code_version(),
            alike=alike_digest(run, stage.name, parameters),
            machine=describe_machine(),
        )
        finish(run, work, record)
    return code or EXIT[verdict]


@contextmanager
def undisturbed() -> Iterator[None]:
    """What became of a stage takes a second to be told, and no Ctrl-C or SIGTERM then leaves it untold."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


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


def finish(run: Run, work: Path, record: Record) -> None:
    """Give the notebook its name, and commit: write the record. The pages come later, but after a failure at once."""
    stage, ended_well = record.stage, record.verdict == OK
    kept, other = run.notebook(stage), run.failed_notebook(stage)
    if not ended_well:
        kept, other = other, kept
    if ended_well or is_whole(work):
        work.replace(kept)
    work.unlink(missing_ok=True)
    other.unlink(missing_ok=True)
    if ended_well:
        given = bool(record.inputs and record.inputs.parameters.get("input"))
        record = replace(record, outputs=describe_outputs(run, stage, given))
    write_record(run, record)
    if ended_well:
        tell(record, run.log)
        return
    if stage in ("03_train", "04_evaluate") and record.verdict != INTERRUPTED and previous.bring_back(run, stage):
        logger.error("   the model before this one is back in %s", shown(run.models))
    tell(record, write_pages(run, stage))


def is_whole(notebook: Path) -> bool:
    """Return whether a notebook can be read: a full disk leaves half of one."""
    try:
        source.read_cells(notebook)
    except RunError:
        return False
    return True


def write_pages(run: Run, stage: str) -> Path:
    """Render the pages after a failure; returns what to read: the stage's page, or the log where it has none."""
    from mnistlib import index, report

    log_place("writing its page")
    for write in (report.write_pages, index.write_index):
        try:
            write(run)
        except Exception as error:  # the notebook is worth more than its page, which make tries again and then says why
            logger.error("   no page: %s", error)
    return run.page(stage) if made_of(run.page(stage)) == page_digest(run, stage) else run.log


def tell(record: Record, to_read: Path) -> None:
    """Say how the stage ended, and where to read why."""
    logger.debug("   %s", ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in record.seconds.items()))
    if record.verdict == OK:
        log_verdict(logging.INFO, f"{record.stage} ok in {record.total_seconds:.1f} s")
        return
    where = f" in cell {record.cell}" if record.cell else ""
    log_verdict(logging.ERROR, f"{record.stage} {record.verdict}{where} after {record.total_seconds:.1f} s")
    for line in record.error.splitlines():
        logger.error("   %s", line)
    if record.verdict != INTERRUPTED or not os.environ.get(TAKEN_AWAY):
        logger.error("   read %s", shown(to_read))


if __name__ == "__main__":
    sys.exit(main())
