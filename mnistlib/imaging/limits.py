"""What a picture may cost: which files are opened, how long one is read, how much memory all threads take together."""

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
SECONDS = 5.0  # that a decoder may compute for one file
TOO_SLOW = f"it takes more than {SECONDS:.0f} s to read"
SYSTEM = (Path("/proc"), Path("/sys"))


class PictureError(ValueError):
    """Why a picture cannot be recognised, in a few words."""


class TimedFile(io.BufferedReader):
    """A file whose reads fail once this thread has computed for SECONDS: the decoder that asked for more then ends.

    The time is this thread's own, so that a busy machine refuses no picture.
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
    """The devices of /proc and /sys: what they make up as it is read might never end, though it says it is a file."""
    return frozenset(place.stat().st_dev for place in SYSTEM if place.is_dir())


def refusal(status: os.stat_result) -> str:
    """Return why something is not to be opened as a picture, or "". A link counts as what it points to."""
    if not stat.S_ISREG(status.st_mode):
        return "neither a picture file nor a folder"
    if status.st_dev in system_devices():
        return "a file of the system, not a picture"
    if status.st_size > LARGEST_FILE:
        return f"larger than {LARGEST_FILE // 1_000_000} MB"
    return ""


def open_file(path: Path) -> TimedFile:
    """Open a plain file of bounded size that has something in it. Raises PictureError and OSError."""
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
    """Raises PictureError for what is not to be opened, and for nothing."""
    told = refusal(status) or ("" if status.st_size else "the file is empty")
    if told:
        raise PictureError(told)


class MemoryBudget:
    """Memory that threads share: who wants more than is free waits until others have given theirs back."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self.changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold `size` bytes while the block runs, at most all there is."""
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
    """Give memory that was freed back to the system: each thread's share of the heap would keep it, up to its most."""
    with suppress(AttributeError, OSError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


MEMORY_BUDGET = MemoryBudget(MEMORY)
