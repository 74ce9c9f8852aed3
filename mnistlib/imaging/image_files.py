"""A person's image file → 28×28, through the same framing as MNIST's own pictures."""

from __future__ import annotations

import errno
import io
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.core.system_info import cores
from mnistlib.imaging.background import border, isolate_digit, subtract_background
from mnistlib.imaging.decoding import decode
from mnistlib.imaging.framing import SIZE, frame
from mnistlib.imaging.image_formats import EXTRAS, describe_left_out, suffixes, with_pages
from mnistlib.imaging.limits import PictureError, refusal
from mnistlib.imaging.restoration import restore

NO_INK = "no ink: nothing stands out from the background"


def find_pictures(text: str) -> list[Path]:
    """The picture files that INPUT names: a picture, a folder's and its subfolders' by path, or several of these.

    `text` is one path, or several quoted as in a shell; relative to the project's root.
    Raises RunError when nothing is there or it cannot be read.
    """
    return search(text)[0]


def input_pictures(text: str) -> tuple[list[Path], str]:
    """The pictures that INPUT names, each page of a PDF one, and in words what was left out. Raises RunError."""
    found, left_out = search(text)
    return with_pages(found), describe_left_out(left_out)


def search(text: str) -> tuple[list[Path], Counter[str]]:
    """The picture files that INPUT names, and how many other files of each extension. Raises RunError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RunError(f"INPUT {text!r} is no UTF-8: rename it, or name the folder that it lies in") from None
    left_out: Counter[str] = Counter()
    try:
        names = [text] if (ROOT / Path(text).expanduser()).exists() else shlex.split(text)
        found = [path for name in names for path in pictures_at(ROOT / Path(name).expanduser(), left_out)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"INPUT {text!r} cannot be read: {reason}. Name a picture or a folder of pictures.") from error
    except RuntimeError as error:
        reason = "the home folder that ~ stands for is not known"
        raise RunError(
            f"INPUT {text!r} cannot be read: {reason}. Name the file or folder by its whole path."
        ) from error
    if not found:
        told = f"; {describe_left_out(left_out)}" if left_out else ""
        raise RunError(f"INPUT {text!r} holds no pictures ({', '.join(sorted(suffixes()))}){told}")
    return found, left_out


def pictures_at(path: Path, left_out: Counter[str]) -> list[Path]:
    """The file itself, or the pictures of a folder and its subfolders; other files are counted in `left_out`.

    A file of a kind that needs a package which is not installed is left out, and so is one that is far too large.
    Raises OSError, also for what may never end: a device or a pipe.
    """
    if not path.is_dir():
        kind = path.suffix.lower()
        if told := refusal(path.stat()):
            raise OSError(errno.EINVAL, told)
        if kind not in EXTRAS or kind in suffixes():
            return [path]
        left_out[kind] += 1  # nothing is answered, so that the next make with the package begins anew
        return []
    pictures = []
    for file in filter(Path.is_file, files_in(path, left_out)):
        kind = file.suffix.lower()
        told = refusal(file.stat()) if kind in suffixes() else kind or "no extension"
        if told:
            left_out[told] += 1
        else:
            pictures.append(file)
    return pictures


def files_in(folder: Path, left_out: Counter[str]) -> list[Path]:
    """What lies in a folder and its subfolders, by path: nothing hidden, nothing behind a link to a folder.

    Raises OSError where the folder cannot be read; subfolders of which that is true are counted.
    """

    def note(error: OSError) -> None:
        if error.filename == str(folder):
            raise error
        left_out["folder that cannot be read"] += 1

    found = []
    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def read_batches(paths: Sequence[Path], size: int) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Picture files in order, `size` at a time: uint8 N×28×28, and for each why it cannot be read; blank then, else "".

    Ink is bright on dark. While the ink of one lot is lifted off its paper, all cores decode the next.
    """
    with ThreadPoolExecutor(cores()) as readers:
        starts = range(0, len(paths), size)
        lots = ([readers.submit(decode_or_reason, path) for path in paths[at : at + size]] for at in starts)
        for lot, _the_next in pairwise(chain(lots, [[]])):
            greys, reasons = zip(*(decoded.result() for decoded in lot), strict=True)
            images = to_digits(greys)
            yield images, [why if why or image.any() else NO_INK for why, image in zip(reasons, images, strict=True)]


def decode_or_reason(path: Path) -> tuple[np.ndarray, str]:
    """A picture file's luminance and no reason; or a blank picture and why it cannot be read."""
    try:
        return decode(path), ""
    except PictureError as error:
        return np.zeros((SIZE, SIZE), np.uint8), str(error)


def to_digits(greys: Sequence[np.ndarray]) -> np.ndarray:
    """Ink on its own, framed: uint8 N×28×28, all 0 where nothing stands out. What is MNIST's already stays as it is.

    Pictures of MNIST's size with something at their border are restored all at once, in a seventh of the time.
    """
    corrupted = [i for i, grey in enumerate(greys) if grey.shape == (SIZE, SIZE) and border(grey).any()]
    restored = restore(np.stack([greys[i] for i in corrupted])).astype(np.float32) if corrupted else ()
    raised = dict(zip(corrupted, restored, strict=True))
    return np.stack([to_digit(grey, raised.get(i)) for i, grey in enumerate(greys)])


def to_digit(grey: np.ndarray, raised: np.ndarray | None) -> np.ndarray:
    """One of them; `raised`: its ink as restored, if it was."""
    if raised is None and grey.shape == (SIZE, SIZE):
        framed = frame(grey)
        return grey if np.abs(framed.astype(int) - grey).max() <= 1 else framed
    return frame(isolate_digit(subtract_background(grey) if raised is None else raised))


def to_png(image: np.ndarray) -> bytes:
    """A picture H×W uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
