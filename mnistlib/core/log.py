"""The log: all of it, with times, in the run's `run.log`; on the terminal what its reader chose, while there is one."""

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
TAKEN_AWAY = "MNISTLIB_TAKEN_AWAY"  # set in the environment of a run that goes when it is interrupted: nothing to read
GONE = {errno.EPIPE, errno.EIO}  # nobody reads any more: `make all | head -1`, or a terminal that was closed
COLOR = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}


def chosen_level(otherwise: int = logging.INFO) -> int:
    """The level that LOG names in the environment. Raises RunError when there is no such level."""
    name = os.environ.get("LOG", "")
    if name and name not in LEVELS:
        raise RunError(f"LOG is {name!r}; it can be one of {', '.join(LEVELS)}")
    return LEVELS.get(name, otherwise)


class PlainFormatter(logging.Formatter):
    """A record as text without the control characters that a cell may have printed; in color where asked for."""

    def __init__(self, pattern: str = "%(message)s", colored: bool = False) -> None:
        super().__init__(pattern)
        self.colored = colored

    def format(self, record: logging.LogRecord) -> str:
        text = CONTROL.sub("", super().format(record))
        color = COLOR.get(record.levelno) if self.colored else None
        return f"{color}{text}\x1b[0m" if color else text


class KeptLog(logging.FileHandler):
    """A log file in which lines are lacking where the disk was full: that ends no stage."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in logging
        """Nothing to say: what fills the disk is told by whoever writes there next."""


def log_to(file: Path, stage: str, terminal: logging.Handler) -> None:
    """Send everything to `file`, appended, with time, stage and level, and to a terminal that takes its choice.

    What the terminal's encoding lacks it shows as `?`.
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
    """End the log: nothing of a live line is left."""
    for source in file_only:
        source.handlers = [logging.NullHandler()]  # with none at all, Python shows what comes late
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        with suppress(OSError):  # a full disk
            handler.close()


def log_place(place: str) -> None:
    """Say where a stage is: a line for debugging, and for a handler that reads the record's `place`."""
    logger.debug("   %s", place, extra={"place": place})


def log_verdict(level: int, text: str) -> None:
    """Say what became of a stage, in a record that a handler knows by its `verdict`."""
    logger.log(level, "   %s", text, extra={"verdict": True})


def say(text: str) -> None:
    """Print a line without control characters; nothing, and no error, where nobody reads any more."""
    try:
        print(CONTROL.sub("", text), flush=True)
    except OSError as error:
        if error.errno not in GONE:
            raise
        silence(sys.stdout)


def silence(stream: TextIO) -> None:
    """Let whatever is still written there, at Python's end above all, go to nobody."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Lines:
    """A text stream that logs each whole line: what cells print, as it comes."""

    def __init__(self, level: int) -> None:
        self.level, self.rest = level, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            logger.log(self.level, "   %s", line.rstrip("\r").rpartition("\r")[2])
        return len(text)

    def flush(self) -> None:
        """Nothing to do: half a line waits for its end."""


def is_headless() -> bool:
    """Whether nobody watches: make's runner, papermill and nbclient execute cells; JupyterLab, Notebook 7 and VS Code
    say with each request which cell of the open document it comes from.
    """
    if os.environ.get("MNISTLIB_HEADLESS"):
        return True
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is None or "cellId" not in kernel.get_parent("shell").get("metadata", {})
