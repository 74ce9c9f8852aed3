"""The end of a stage: its verdict, the record that commits its outputs, and the pages after a failure."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.core.log import TAKEN_AWAY, log_place, log_verdict, logger
from mnistlib.reporting.page_digests import page_digest, read_page_digest
from mnistlib.runs import previous_model
from mnistlib.runs.fingerprint import read_cells
from mnistlib.runs.layout import Run
from mnistlib.runs.record import DIED, FAILED, INTERRUPTED, OK, TIMED_OUT, Record, describe_outputs, write_record


def judge(error: BaseException) -> tuple[str, str, int]:
    """Return verdict, error in words and number of the cell (0: none) for what ended a notebook early."""
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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP while the record of a stage is written, which takes a second."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def finish(run: Run, work: Path, record: Record) -> None:
    """Give the notebook its final name and write the record; after a failure, render the pages too.

    Args:
        run: the run.
        work: the executed notebook under its temporary name.
        record: of the stage, without outputs.
    """
    stage, ended_well = record.stage, record.verdict == OK
    kept, other = run.notebook(stage), run.failed_notebook(stage)
    if not ended_well:
        kept, other = other, kept
    if ended_well or is_whole(work):
        work.replace(kept)
    work.unlink(missing_ok=True)
    other.unlink(missing_ok=True)
    if ended_well:
        own_pictures = bool(record.inputs and record.inputs.parameters.get("input"))
        record = replace(record, outputs=describe_outputs(run, stage, own_pictures))
    write_record(run, record)
    if ended_well:
        report(record, run.log)
        return
    if stage in ("03_train", "04_evaluate") and record.verdict != INTERRUPTED and previous_model.restore(run, stage):
        logger.error("   the model before this one is back in %s", shown(run.models))
    report(record, write_pages(run, stage))


def is_whole(notebook: Path) -> bool:
    """Return whether a notebook can be read: a full disk leaves half of one."""
    try:
        read_cells(notebook)
    except RunError:
        return False
    return True


def write_pages(run: Run, stage: str) -> Path:
    """Render the pages after a failure; return what to read: the stage's page, or the log where it has none."""
    from mnistlib.reporting import front_page, notebook_html

    log_place("writing its page")
    for write in (notebook_html.write_pages, front_page.write_index):
        try:
            write(run)
        except Exception as error:  # the notebook is worth more than its page, which make tries again and then says why
            logger.error("   no page: %s", error)
    return run.page(stage) if read_page_digest(run.page(stage)) == page_digest(run, stage) else run.log


def report(record: Record, to_read: Path) -> None:
    """Log how the stage ended, and where to read why."""
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
