"""Read the IDX format in which MNIST is published (https://yann.lecun.com/exdb/mnist/), gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown

UNSIGNED_BYTE = 0x08
LARGEST = 1 << 28  # bytes; MNIST's largest file holds 47 MB


def is_packed(path: Path) -> bool:
    """Return whether the file is gzip, whatever its name. Raises OSError."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def unpack(path: Path) -> bytes:
    """Return the file's content, decompressed if it is gzip. Raises RunError when it is damaged or far too large."""
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RunError(f"{shown(path)} is truncated or damaged ({error}): replace the file") from error
    except OSError as error:
        raise RunError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    if len(content) > LARGEST:
        raise RunError(f"{shown(path)} unpacks to more than {LARGEST} bytes: not an MNIST file")
    return content


def parse(content: bytes, name: str) -> np.ndarray:
    """Parse an IDX file of bytes into a uint8 array. Raises RunError when header and length disagree."""
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]) or not 1 <= content[3] <= 3:
        raise RunError(f"{name} is not an IDX file of bytes: it begins with {content[:4].hex(' ') or 'nothing'}")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected, found = start + math.prod(shape), len(content)
    if found != expected:
        raise RunError(f"{name} holds {found} bytes; its header {shape} asks for {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
