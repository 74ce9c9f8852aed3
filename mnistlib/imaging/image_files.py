"""Find a user's picture files and turn them into 28×28 pixels, with the framing of MNIST's own pictures."""

from __future__ import annotations

import errno
import io
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.core.system_info import cores
from mnistlib.imaging.background import FLAT, even_paper, extract_digit
from mnistlib.imaging.decoding import decode
from mnistlib.imaging.framing import BOX, SIZE, frame
from mnistlib.imaging.image_formats import EXTRAS, describe_left_out, suffixes, with_pages
from mnistlib.imaging.limits import PictureError, refusal
from mnistlib.imaging.restoration import restore_digits
from mnistlib.imaging.stroke_width import normalize_stroke_width

MOST_PIECES = 4  # of a clean digit
ALIKE = (0.6, 1.25)  # ink after framing, of that before
Judge = Callable[[np.ndarray], np.ndarray]
NO_INK = "no ink: nothing stands out from the background"


def find_pictures(text: str) -> list[Path]:
    """Find the picture files that INPUT names.

    Args:
        text: the path of a picture or of a folder, whose subfolders are searched too; or several paths, quoted as in a
            shell. They are relative to the project's root.

    Returns:
        The files, a folder's in the order of their paths.

    Raises:
        RunError: nothing is there, or it cannot be read.
    """
    return search(text)[0]


def input_pictures(text: str) -> tuple[list[Path], str]:
    """Find the pictures that INPUT names, with each page of a PDF as one picture.

    Args:
        text: as for `find_pictures`.

    Returns:
        The files, and a text that says what was left out.

    Raises:
        RunError: nothing is there, or it cannot be read.
    """
    found, left_out = search(text)
    return with_pages(found), describe_left_out(left_out)


def search(text: str) -> tuple[list[Path], Counter[str]]:
    """Find the picture files that INPUT names, and count other files by extension. Raises RunError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RunError(f"INPUT {text!r} is not UTF-8: rename it, or name its folder") from None
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
        others = f"; {describe_left_out(left_out)}" if left_out else ""
        raise RunError(f"INPUT {text!r} holds no pictures ({', '.join(sorted(suffixes()))}){others}")
    return found, left_out


def pictures_at(path: Path, left_out: Counter[str]) -> list[Path]:
    """Return the file itself, or the pictures of a folder and its subfolders; count other files in `left_out`.

    Files that are too large, or that need a package which is not installed, are left out. Raises OSError, also for a
    device or a pipe, whose content may never end.
    """
    if not path.is_dir():
        kind = path.suffix.lower()
        if reason := refusal(path.stat()):
            raise OSError(errno.EINVAL, reason)
        if kind not in EXTRAS or kind in suffixes():
            return [path]
        left_out[kind] += 1  # without the package, the next make tries again
        return []
    pictures = []
    for file in filter(Path.is_file, files_in(path, left_out)):
        kind = file.suffix.lower()
        reason = refusal(file.stat()) if kind in suffixes() else kind or "no extension"
        if reason:
            left_out[reason] += 1
        else:
            pictures.append(file)
    return pictures


def files_in(folder: Path, left_out: Counter[str]) -> list[Path]:
    """List the files of a folder and its subfolders by path, without hidden files and linked folders.

    Raises OSError where the folder cannot be read; subfolders that cannot be read are counted.
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


def uniform(images: np.ndarray) -> np.ndarray:
    """Score all pictures alike."""
    return np.zeros(len(images))


def read_batches(paths: Sequence[Path], size: int, judge: Judge = uniform) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Read picture files in order, in batches; all cores decode the next batch meanwhile.

    Args:
        paths: the files or pages.
        size: pictures per batch.
        judge: scores images uint8 N×28×28 by how much they look like digits.

    Yields:
        Images uint8 N×28×28, ink bright on 0, and for each the reason why it cannot be read, with a blank picture; else
        an empty text.
    """
    with ThreadPoolExecutor(cores()) as readers:
        starts = range(0, len(paths), size)
        batches = ([readers.submit(decode_or_reason, path) for path in paths[at : at + size]] for at in starts)
        for batch, _next in pairwise(chain(batches, [[]])):
            greys, reasons = zip(*(decoded.result() for decoded in batch), strict=True)
            images = to_digits(greys, judge)
            yield images, [why if why or image.any() else NO_INK for why, image in zip(reasons, images, strict=True)]


def decode_or_reason(path: Path) -> tuple[np.ndarray, str]:
    """Return the luminance and an empty text; or a blank picture and the reason why it cannot be read."""
    try:
        return decode(path), ""
    except PictureError as error:
        return np.zeros((SIZE, SIZE), np.uint8), str(error)


def to_digits(greys: Sequence[np.ndarray], judge: Judge = uniform) -> np.ndarray:
    """Frame the ink of each picture: uint8 N×28×28, all 0 without ink. Pictures framed like MNIST's stay unchanged.

    Pictures of 28×28 pixels that are not clean are restored as one batch, in a seventh of the time. In a clean one that
    is larger than MNIST's box, a line may run across a digit, which framing would shrink: `judge` scores both.
    """
    small = [i for i, grey in enumerate(greys) if grey.shape == (SIZE, SIZE)]
    digits = dict(zip(small, restore_digits(np.stack([greys[i] for i in small])), strict=True)) if small else {}
    doubtful = {}
    for i, grey in enumerate(greys):
        if i not in digits or (not np.array_equal(digits[i], grey) and is_clean(grey)):
            framed = frame(normalize_stroke_width(extract_digit(grey)))
            if i in digits and may_keep_its_place(digits[i], framed, grey):
                doubtful[i] = framed
            else:
                digits[i] = framed
    if doubtful:
        scores = judge(np.stack([*doubtful.values(), *(digits[i] for i in doubtful)])).reshape(2, -1)
        digits |= {i: framed for (i, framed), (new, kept) in zip(doubtful.items(), scores.T, strict=True) if new > kept}
    return np.stack([digits[i] for i in range(len(greys))])


def is_clean(grey: np.ndarray) -> bool:
    """Return whether a picture has even paper, few pieces of ink, and no stripe across it: nothing to restore."""
    import cv2

    level = even_paper(grey)
    if level is None:
        return False
    ink = (np.abs(grey - np.float32(level)) > FLAT).astype(np.uint8)
    stripe = any(side[0].any() and (side[0] == side[[1, -1]]).all() for side in (ink, ink.T))
    return not stripe and cv2.connectedComponents(ink)[0] <= 1 + MOST_PIECES


def may_keep_its_place(restored: np.ndarray, framed: np.ndarray, grey: np.ndarray) -> bool:
    """Return whether a digit larger than MNIST's box may rightly stand where it is.

    Framing leaves out little of its ink, and its strokes are not much thinner than usual, which framing widens. A digit
    that fills its picture is always framed.
    """
    side = max(np.ptp(np.flatnonzero(restored.any(axis))) for axis in (0, 1)) + 1 if restored.any() else 0
    if side <= BOX or all(np.ptp(edge) > FLAT for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1])):
        return False
    return bool(ALIKE[0] <= framed.sum(dtype=int) / restored.sum(dtype=int) <= ALIKE[1])


def to_png(image: np.ndarray) -> bytes:
    """Encode a picture, uint8 H×W, as PNG; return the bytes of the file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
