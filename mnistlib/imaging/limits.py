"""Limit what a picture may cost: which files are opened, computing time, and the memory of all threads together."""

from __future__ import annotations

import ctypes
import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Condition
from typing import Any

LARGEST_FILE = 100_000_000  # bytes
LARGEST = 50_000_000  # pixels
MEMORY = 400_000_000  # bytes, over all threads together
KEPT = 16_000_000  # bytes that a thread may keep for its next picture
SECONDS = 5.0  # of computing per file
TOO_SLOW = f"it takes more than {SECONDS:.0f} s to read"
SYSTEM = (Path("/proc"), Path("/sys"))


class PictureError(ValueError):
    """A picture cannot be recognized; the message is the reason."""


class TimedFile(io.BufferedReader):
    """A file whose reads fail once this thread has computed for SECONDS, which ends the decoder.

    Only the thread's own time counts, so that a busy machine refuses no picture.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.ends = time.thread_time() + SECONDS

    def check(self) -> None:
        if time.thread_time() > self.ends:
            raise PictureError(TOO_SLOW)

    def read(self, size: int | None = -1) -> bytes:
        self.check()
        return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        self.check()
        return super().readline(size)

    def readinto(self, buffer: Any) -> int:
        self.check()
        return super().readinto(buffer)


@cache
def system_devices() -> frozenset[int]:
    """Return the devices of /proc and /sys, whose files may never end though they look regular."""
    return frozenset(place.stat().st_dev for place in SYSTEM if place.is_dir())


def refusal(status: os.stat_result) -> str:
    """Return why a file must not be opened as a picture, or an empty text. A link counts as its target."""
    if not stat.S_ISREG(status.st_mode):
        return "neither a picture file nor a folder"
    if status.st_dev in system_devices():
        return "a file of the system, not a picture"
    if status.st_size > LARGEST_FILE:
        return f"larger than {LARGEST_FILE // 1_000_000} MB"
    return ""


def open_file(path: Path) -> TimedFile:
    """Open a regular file of limited size that is not empty. Raises PictureError and OSError."""
    try:
        check(path.stat())
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    file = TimedFile(io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)))
    try:
        check(os.fstat(file.fileno()))  # another file may have taken the name
    except PictureError:
        file.close()
        raise
    return file


def check(status: os.stat_result) -> None:
    """Raise PictureError for a file that must not be opened, or is empty."""
    reason = refusal(status) or ("" if status.st_size else "the file is empty")
    if reason:
        raise PictureError(reason)


class MemoryBudget:
    """Memory that threads share: a thread that wants more than is free waits."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self.changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Reserve `size` bytes while the block runs, at most the whole budget."""
        size = min(size, self.size)
        with self.changed:
            self.changed.wait_for(lambda: self.free >= size)
            self.free -= size
        try:
            yield
        finally:
            if size > KEPT:
                trim()
            with self.changed:
                self.free += size
                self.changed.notify_all()


def trim() -> None:
    """Return freed memory to the system; each thread's share of the heap would keep its peak."""
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


MEMORY_BUDGET = MemoryBudget(MEMORY)
