"""The log: everything, with times, in the run's `run.log`; on the terminal what its user chose, while it is open."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mnistlib.core.errors import RunError

logger = logging.getLogger("mnistlib")
file_only = [logging.getLogger(name) for name in ("papermill", "asyncio")]  # they repeat the verdict: run.log only
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
TAKEN_AWAY = "MNISTLIB_TAKEN_AWAY"  # set for a run that is deleted when it is interrupted
GONE = {errno.EPIPE, errno.EIO}  # the reader has gone: `make all | head -1`, or a closed terminal
COLOR = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}


def chosen_level(otherwise: int = logging.INFO) -> int:
    """Return the level that LOG names in the environment. Raises RunError for an unknown one."""
    name = os.environ.get("LOG", "")
    if name and name not in LEVELS:
        raise RunError(f"LOG is {name!r}; it can be one of {', '.join(LEVELS)}")
    return LEVELS.get(name, otherwise)


class PlainFormatter(logging.Formatter):
    """Format records without the control characters that a cell may have printed; in color on request."""

    def __init__(self, pattern: str = "%(message)s", colored: bool = False) -> None:
        super().__init__(pattern)
        self.colored = colored

    def format(self, record: logging.LogRecord) -> str:
        text = CONTROL.sub("", super().format(record))
        color = COLOR.get(record.levelno) if self.colored else None
        return f"{color}{text}\x1b[0m" if color else text


class KeptLog(logging.FileHandler):
    """A log file that loses lines on a full disk instead of ending the stage."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in logging
        """Do nothing: the next writer reports the full disk."""


def log_to(file: Path, stage: str, terminal: logging.Handler) -> None:
    """Log to a file and to a terminal.

    Args:
        file: everything is appended to it, with time, stage and level.
        stage: the name that stands in each line of the file.
        terminal: a handler with a level of its own; it shows `?` for characters that its encoding lacks.
    """
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    close_log()
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = KeptLog(file, encoding="utf-8", errors="backslashreplace")
    kept.setFormatter(PlainFormatter(f"%(asctime)s {stage} %(levelname)s %(message)s"))
    stream = getattr(terminal, "stream", None)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    for source in file_only:
        source.propagate, source.handlers = False, [kept]
    logger.addHandler(kept)
    logger.addHandler(terminal)


def close_log() -> None:
    """Close the log and its terminal."""
    for source in file_only:
        source.handlers = [logging.NullHandler()]  # without any, Python prints late records
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        with suppress(OSError):  # a full disk
            handler.close()


def log_place(place: str) -> None:
    """Log where a stage is: a line for debugging, and the record's `place` for a handler that shows it."""
    logger.debug("   %s", place, extra={"place": place})


def log_verdict(level: int, text: str) -> None:
    """Log how a stage ended, in a record that has `verdict` set."""
    logger.log(level, "   %s", text, extra={"verdict": True})


def say(text: str) -> None:
    """Print a line without control characters. Does nothing where the reader has gone."""
    try:
        print(CONTROL.sub("", text), flush=True)
    except OSError as error:
        if error.errno not in GONE:
            raise
        silence(sys.stdout)


def silence(stream: TextIO) -> None:
    """Redirect a stream to nowhere, so that no later write fails, such as the one when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Lines:
    """A text stream that logs each whole line, as cells print it."""

    def __init__(self, level: int) -> None:
        self.level, self.rest = level, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            logger.log(self.level, "   %s", line.rstrip("\r").rpartition("\r")[2])
        return len(text)

    def flush(self) -> None:
        """Do nothing: half a line waits for its end."""


def is_headless() -> bool:
    """Return whether the session is headless, as under make, papermill and nbclient.

    JupyterLab, Notebook 7 and VS Code name with each request the cell of the open document that it comes from.
    """
    if os.environ.get("MNISTLIB_HEADLESS"):
        return True
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is None or "cellId" not in kernel.get_parent("shell").get("metadata", {})
