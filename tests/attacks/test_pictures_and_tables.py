"""Pictures, parameter files and names from people who mean harm.

| attack | where | what must happen |
|---|---|---|
| PostScript in a file called .png | `formats.open_picture` | refused; no program starts (`test_formats`) |
| a TIFF of 40,000 pages | `decode.decode` | refused after its second page |
| a JPEG of thousands of scans; pixels by the million for a slow decoder; text without end | `decode.decode` | refused in 5 s |
| pictures of 7000² in a few kB, many at once | `read_lots` | read, or refused; 400 MB over all threads |
| such a picture inside an icon | `decode.decode` | the same |
| links to /proc, /sys, devices, pipes, huge files as a picture | `decode.decode`, `pictures.find_pictures` | refused |
| the same as PARAMS | `params.load_file` | refused in words |
| `=`, `+`, `-`, `@`, tab, CR, LF at the beginning or in a file name | `predictions.csv` | one row a file; no formula |
| characters that turn or hide text in a file name | terminal, page, CSV | shown as \\u202e |
| HTML and TeX in the name of a file, a class or a run | pages and figures | shown as text |
| a full disk | record, log, pages, answers | words, exit code, nothing half-written |
| the same drawing saved twice at once | `handwriting.keep_drawing` | kept once |
"""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistlib import bounds
from mnistlib.bounds import PictureError, Room
from mnistlib.decode import decode
from mnistlib.files import RunError
from mnistlib.pictures import find_pictures

ROOT = Path(__file__).resolve().parents[2]


def png(path: Path, side: int, colour: int = 0, depth: int = 8) -> Path:
    """A PNG of side² pixels, all 0, in a few kB: written row by row, for it would not fit."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = bytes(1 + side * channels * depth // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row * 50) for _ in range(side // 50)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff_of_pages(path: Path, pages: int) -> Path:
    """A TIFF whose pages are 1 pixel each, one after the other."""
    content = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0), (279, 4, 1, 1)]
        end = len(content) + 2 + 12 * len(tags) + 4
        content += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        content += struct.pack("<I", end if page < pages - 1 else 0)
    path.write_bytes(content)
    return path


def jpeg_of_scans(path: Path, scans: int) -> Path:
    """A progressive JPEG whose last scan is there again and again."""
    buffer = io.BytesIO()
    Image.new("L", (3000, 3000), 200).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * scans + b"\xff\xd9")
    return path


def computing(path: Path) -> tuple[str, float]:
    """Why a picture is refused, and for how long this took."""
    began = time.monotonic()
    with pytest.raises(PictureError) as caught:
        decode(path)
    return str(caught.value), time.monotonic() - began
