"""One make at a time in a run: who comes second is told who is at work."""

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


def check_is_a_lock(path: Path, found: os.stat_result) -> None:
    """Raise RunError for a file that is more than this lock: it is emptied and written to."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise RunError(f"{shown(path)} is not a file of its own: delete it first")


def lock_run(run: Run) -> None:
    """Take the run for this process, for what it becomes by exec and for what it starts.

    The lock is the system's (flock) and ends with the last of these, however they end: nothing of a dead holder is
    left to be cleaned up. Raises RunError, naming process, host and time, when another make has the run.
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
        raise RunError(f"{text}: wait for its end, or give RUN another name") from None
    except OSError as error:
        text = f"cannot lock {shown(path)}: {error.strerror}"
        raise RunError(f"{text}. Put the project where files can be locked, which is any local disk") from error
    os.set_inheritable(held, True)
    holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with suppress(OSError):  # a full disk: the lock holds, only its holder has no name
        os.ftruncate(held, 0)
        os.write(held, holder.encode())
