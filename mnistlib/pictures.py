"""A person's image file → 28×28, through the same framing as MNIST's own pictures."""

from __future__ import annotations

import errno
import io
import os
import shlex
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnistlib.files import ROOT, RunError
from mnistlib.formats import EXTRAS, PictureError, left_out_words, open_picture, suffixes, with_pages
from mnistlib.ink import SIZE, frame
from mnistlib.machine import cores
from mnistlib.paper import border, raised_above_paper, stands_out
from mnistlib.restore import restore

LARGEST = 50_000_000
WORKING = 200
NO_INK = "no ink: nothing stands out from the background"


def find_pictures(text: str) -> list[Path]:
    """The picture files that INPUT names: a picture, a folder's and its subfolders' by path, or several of these.

    `text` is one path, or several quoted as in a shell; relative to the project's root.
    Raises RunError when nothing is there or it cannot be read.
    """
    return search(text)[0]


def given_pictures(text: str) -> tuple[list[Path], str]:
    """The pictures that INPUT names, each page of a PDF one, and in words what was left out. Raises RunError."""
    found, left_out = search(text)
    return with_pages(found), left_out_words(left_out)


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
        told = f"; {left_out_words(left_out)}" if left_out else ""
        raise RunError(f"INPUT {text!r} holds no pictures ({', '.join(sorted(suffixes()))}){told}")
    return found, left_out


def pictures_at(path: Path, left_out: Counter[str]) -> list[Path]:
    """The file itself, or the pictures of a folder and its subfolders; other files are counted in `left_out`.

    A file of a kind that needs a package which is not installed is left out, too.
    Raises OSError, also for what may never end: a device or a pipe.
    """
    if not path.is_dir():
        kind = path.suffix.lower()
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "neither a picture file nor a folder")
        if kind not in EXTRAS or kind in suffixes():
            return [path]
        left_out[kind] += 1  # nothing is answered, so that the next make with the package begins anew
        return []
    files = [file for file in files_in(path, left_out) if file.is_file()]
    pictures = [file for file in files if file.suffix.lower() in suffixes()]
    left_out.update(file.suffix.lower() or "no extension" for file in files if file.suffix.lower() not in suffixes())
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


def read_lots(paths: Sequence[Path], size: int) -> Iterator[tuple[np.ndarray, list[str]]]:
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


def decode(path: Path) -> np.ndarray:
    """A picture file's luminance, uint8 H×W, scaled down to a working size; threads may do this side by side.

    The first frame of an animation, any bit depth, transparency laid on white, light on dark or dark on light. Pages
    are refused: each of them may be meant.
    Raises PictureError with the reason.
    """
    try:
        with open_picture(path) as picture:
            if picture.width * picture.height > LARGEST:
                raise PictureError(f"{picture.width} × {picture.height} pixels are too many")
            pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
            if pages > 1:
                raise PictureError(f"{pages} pages: save each as a picture of its own")
            picture.draft("L", (WORKING, WORKING))  # a JPEG is decoded no larger than needed
            return to_grey(ImageOps.exif_transpose(picture))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("far too many pixels") from error
    except Exception as error:  # Pillow's readers raise many kinds for broken files
        raise PictureError(f"broken picture: {error or type(error).__name__}") from error


def to_grey(picture: Image.Image) -> np.ndarray:
    """Luminance, uint8 H×W, scaled down to a working size."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        picture = Image.fromarray(np.clip(values * (255 / full_scale(values)), 0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, paper_for(layer)), layer)
    grey = picture.convert("L")
    grey.thumbnail((WORKING, WORKING), Image.Resampling.BOX)
    return np.asarray(grey)


def full_scale(values: np.ndarray) -> float:
    """What full brightness is: 1, as in floats, the most that 8, 10, 12, 14 or 16 bits hold, or the most there is.

    Floats that were made larger or smaller shoot a little over 1.
    """
    most = values.max()
    return 1.0 if most <= 1.5 else float(next((top for top in (255, 1023, 4095, 16383, 65535) if most <= top), most))


def paper_for(layer: Image.Image) -> str:
    """What lies under a transparent picture: black beneath bright ink, else white."""
    pixels = np.asarray(layer, np.float32)
    ink = pixels[..., 3] > 0
    return "black" if ink.any() and pixels[..., :3][ink].mean() > 160 else "white"


def to_digits(greys: Sequence[np.ndarray]) -> np.ndarray:
    """Ink on its own, framed: uint8 N×28×28, all 0 where nothing stands out. What is MNIST's already stays as it is.

    Pictures of MNIST's size with something at their border are restored all at once, in a seventh of the time.
    """
    spoilt = [i for i, grey in enumerate(greys) if grey.shape == (SIZE, SIZE) and border(grey).any()]
    restored = restore(np.stack([greys[i] for i in spoilt])).astype(np.float32) if spoilt else ()
    raised = dict(zip(spoilt, restored, strict=True))
    return np.stack([to_digit(grey, raised.get(i)) for i, grey in enumerate(greys)])


def to_digit(grey: np.ndarray, raised: np.ndarray | None) -> np.ndarray:
    """One of them; `raised`: its ink as restored, if it was."""
    if raised is None and grey.shape == (SIZE, SIZE):
        framed = frame(grey)
        return grey if np.abs(framed.astype(int) - grey).max() <= 1 else framed
    return frame(stands_out(raised_above_paper(grey) if raised is None else raised))


def to_png(image: np.ndarray) -> bytes:
    """A picture H×W uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
