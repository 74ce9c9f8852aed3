"""Files written whole or not at all, read with errors that say what to do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unicodedata import category

from mnistlib.core.errors import RunError

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0
LARGEST_JSON = 20_000_000  # bytes; the largest that a run holds takes 1 MB
LARGEST_ARRAYS = 500_000_000  # bytes, packed and unpacked; the predictions for MNIST take 1 MB
MOST_DIGITS = 18  # of a whole number in JSON


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
    """Take away temporary files whose writer was killed: no lock of a living one is on them, and the system knows.

    Of folders it does not: those go that nobody has written into for an hour.
    """
    for path in leftovers:
        with suppress(OSError):  # another make may sweep at the same time
            if not path.is_dir():
                take_unlocked(path)
            elif time.time() - path.stat().st_mtime > HOUR:
                shutil.rmtree(path)


def take_unlocked(path: Path) -> None:
    """Delete a file. Raises OSError where somebody holds its lock."""
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file whole or not at all. Raises RunError."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text whole or not at all. Raises RunError."""
    write_bytes(path, content.encode())


def as_json(content: Any) -> str:
    """JSON that any parser reads: NaN and infinities raise ValueError."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write `as_json` whole or not at all. Raises RunError."""
    write_text(path, as_json(content))


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name, without taking its room again where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a file that may come from another person.

    Raises OSError, in words, for a link, a folder, a FIFO or a device, and for a file of more than `most` bytes.
    """
    with open(path, "rb", opener=open_plainly) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is larger than {most:,} bytes")
    return content


def open_plainly(path: str, flags: int) -> int:
    """Open a file without following a link at its end, and without waiting for who writes into a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def parse_json(content: bytes) -> Any:
    """Return what UTF-8 JSON holds. Raises ValueError for damage, deep nesting, NaN, infinities and huge numbers."""
    try:
        return json.loads(content.decode(), parse_constant=refuse_number, parse_int=parse_int, parse_float=parse_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_int(text: str) -> int:
    """Return a whole number of at most `MOST_DIGITS`. Raises ValueError."""
    return int(text) if len(text.lstrip("-")) <= MOST_DIGITS else refuse_number(text)


def parse_float(text: str) -> float:
    """Return a finite number. Raises ValueError."""
    number = float(text)
    return number if math.isfinite(number) else refuse_number(text)


def refuse_number(text: str) -> NoReturn:
    """Raise ValueError for a number that is not finite, or has too many digits."""
    raise ValueError(f"{text[:20]} is not a number that it can hold")


def read_json(path: Path, hint: str, most: int = LARGEST_JSON) -> dict[str, Any]:
    """Return the mapping in a JSON file. Raises RunError, ending in `hint`, when it is missing or cannot be used."""
    try:
        content = parse_json(read_regular(path, most))
    except FileNotFoundError:
        raise RunError(f"{shown(path)} is missing: {hint}") from None
    except (OSError, ValueError) as error:
        reason = "it is a link" if isinstance(error, OSError) and error.errno == errno.ELOOP else error
        raise RunError(f"{shown(path)} cannot be read ({reason}): {hint}") from error
    if not isinstance(content, dict):
        raise RunError(f"{shown(path)} holds no mapping: {hint}")
    return content


def read_arrays(path: Path, names: Sequence[str], hint: str) -> list[np.ndarray]:
    """Arrays of an `.npz` by their names. Raises RunError, ending in `hint`, when it is missing or damaged."""
    import zipfile

    import numpy as np  # who reads no arrays does not wait for it, and may lack it

    try:
        content = io.BytesIO(read_regular(path, LARGEST_ARRAYS))
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > LARGEST_ARRAYS:
            raise ValueError(f"{unpacked:,} bytes unpacked")
        content.seek(0)
        with np.load(content, allow_pickle=False) as kept:
            return [kept[name] for name in names]
    except Exception as error:  # one wrong byte shows as one of a dozen kinds, zlib's own among them
        raise RunError(f"{shown(path)} is missing or damaged: {hint}") from error


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays by their names to an `.npz`, whole or not at all. Raises RunError."""
    import numpy as np

    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def bytes_digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def shown(path: Path) -> str:
    """A path as people want to read it: relative to the project where it lies inside; what is no UTF-8 as \\xff."""
    text = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def printable(text: str) -> str:
    """Text in one line in which each character is seen: what breaks, turns or hides a line is written as \\u202e."""
    if text.isprintable():
        return text
    kept = (c if c.isprintable() or category(c) == "Zs" else c.encode("unicode_escape").decode() for c in text)
    return "".join(kept)
