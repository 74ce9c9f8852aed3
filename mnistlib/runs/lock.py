"""Check that a run can be written to, and allow one make at a time in it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.runs.layout import Run


def make_writable(run: Run) -> None:
    """Create the run's folder. Raises RunError, before anything is changed, where it is not writable."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {shown(run.folder)}: {error.strerror}. Is runs/ writable?") from error
    folders = [run.folder, *run.folder.glob("*/"), *run.folder.glob("*/*/")]
    for path in (*folders, run.log, run.folder / ".lock"):
        if path.exists() and not os.access(path, os.W_OK):
            kind = "folder" if path.is_dir() else "file"
            raise RunError(f"cannot write {shown(path)}: the {kind} or its file system is read-only, or not yours")


def check_is_a_lock(path: Path, found: os.stat_result) -> None:
    """Raise RunError for a file that is not only this lock, because the lock is emptied and written to."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise RunError(f"{shown(path)} is a link or not a regular file: delete it first")


def lock_run(run: Run) -> None:
    """Lock the run for this process, for what it becomes by exec, and for what it starts.

    The lock is the system's (flock). It ends with the last of these processes, however they end.

    Raises:
        RunError: another make holds the run (named by process, host and time), or files cannot be locked.
    """
    path = run.folder / ".lock"
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        check_is_a_lock(path, os.fstat(held))
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(held, 500).decode(errors="replace").strip()
        os.close(held)
        text = f"runs/{run.name} is in use by {holder or 'another make'}"
        raise RunError(f"{text}: wait until it ends, or choose another RUN") from None
    except OSError as error:
        text = f"cannot lock {shown(path)}: {error.strerror}"
        raise RunError(f"{text}. Put the project on a local disk, where files can be locked") from error
    os.set_inheritable(held, True)
    holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with suppress(OSError):  # a full disk: the lock holds without the name of its holder
        os.ftruncate(held, 0)
        os.write(held, holder.encode())
