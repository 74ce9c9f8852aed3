"""Write files atomically, and read them with errors that say what to do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from mnistlib.core.errors import RunError
from mnistlib.core.json_checks import parse_json

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0
LARGEST_JSON = 20_000_000  # bytes; the largest that a run holds takes 1 MB
LARGEST_ARRAYS = 500_000_000  # bytes, packed and unpacked; the predictions for MNIST take 1 MB


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all, through a locked temporary file that replaces it when the block ends well.

    Args:
        path: the file to write; missing folders are made.

    Yields:
        The temporary file beside `path`. `remove_stale` spares it because it is locked.

    Raises:
        RunError: the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise RunError(f"cannot write {shown(path)}: {error.strerror}. Is the folder writable?") from error
    temporary = Path(name)
    try:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {shown(path)}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def remove_stale(leftovers: Iterable[Path]) -> None:
    """Delete temporary files whose writer was killed.

    Args:
        leftovers: a file is deleted when no process holds a lock on it; a folder when its last change is an hour old.
    """
    for path in leftovers:
        with suppress(OSError):  # another make may delete it at the same time
            if not path.is_dir():
                with path.open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError where its writer lives
                    path.unlink()
            elif time.time() - path.stat().st_mtime > HOUR:
                shutil.rmtree(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically. Raises RunError."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically. Raises RunError."""
    write_bytes(path, content.encode())


def as_json(content: Any) -> str:
    """Return standard JSON. Raises ValueError for NaN and infinities."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write `as_json` atomically. Raises RunError."""
    write_text(path, as_json(content))


def link_or_copy(source: Path, target: Path) -> None:
    """Create `target` as a hard link to `source`, or as a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def read_regular(path: Path, most: int) -> bytes:
    """Read a file that may come from another person.

    Args:
        most: its largest size in bytes.

    Raises:
        OSError: it is a link, a folder, a FIFO or a device, or it is larger than `most`.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is larger than {most:,} bytes")
    return content


def read_json(path: Path, hint: str, most: int = LARGEST_JSON) -> dict[str, Any]:
    """Read the mapping in a JSON file.

    Args:
        hint: the next step, with which an error message ends.
        most: its largest size in bytes.

    Raises:
        RunError: the file is missing, damaged, too large or not a mapping.
    """
    try:
        content = parse_json(read_regular(path, most))
    except FileNotFoundError:
        raise RunError(f"{shown(path)} is missing: {hint}") from None
    except (OSError, ValueError) as error:
        reason = "it is a link" if isinstance(error, OSError) and error.errno == errno.ELOOP else error
        raise RunError(f"{shown(path)} cannot be read ({reason}): {hint}") from error
    if not isinstance(content, dict):
        raise RunError(f"{shown(path)} does not hold a mapping: {hint}")
    return content


def read_arrays(path: Path, names: Sequence[str], hint: str) -> list[np.ndarray]:
    """Read arrays from an `.npz` file.

    Args:
        names: the arrays to return, in this order.
        hint: the next step, with which an error message ends.

    Raises:
        RunError: the file is missing or damaged, or lacks an array.
    """
    import zipfile

    import numpy as np  # imported late: not every reader of files needs it, or has it

    try:
        content = io.BytesIO(read_regular(path, LARGEST_ARRAYS))
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > LARGEST_ARRAYS:
            raise ValueError(f"{unpacked:,} bytes unpacked")
        content.seek(0)
        with np.load(content, allow_pickle=False) as kept:
            return [kept[name] for name in names]
    except Exception as error:  # damage raises a dozen kinds, zlib's own among them
        raise RunError(f"{shown(path)} is missing or damaged: {hint}") from error


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays to an `.npz` file atomically. Raises RunError."""
    import numpy as np

    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the checksum of a file in hexadecimal, by an algorithm of hashlib. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def shown(path: Path) -> str:
    r"""Return a path for messages: relative to the project where it lies inside; bytes that are not UTF-8 as \xff."""
    text = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def printable(text: str) -> str:
    r"""Escape the characters that break, reverse or hide a line, such as \u202e."""
    if text.isprintable():
        return text
    kept = (c if c.isprintable() or category(c) == "Zs" else c.encode("unicode_escape").decode() for c in text)
    return "".join(kept)
