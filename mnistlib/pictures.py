"""A person's image file → 28×28, through the same framing as MNIST's own pictures."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnistlib.files import ROOT, RunError
from mnistlib.ink import SIZE, frame
from mnistlib.paper import border, raised_above_paper, stands_out
from mnistlib.restore import restore

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
LARGEST = 50_000_000
WORKING = 200


class PictureError(ValueError):
    """Why a picture cannot be recognised, in a few words."""


def find_pictures(text: str) -> list[Path]:
    """The picture files that INPUT names, by name: a picture, a folder's own pictures, or several of these.

    `text` is one path, or several quoted as in a shell; relative to the project's root.
    Raises RunError when nothing is there or it cannot be read.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RunError(f"INPUT {text!r} is no UTF-8: rename it, or name the folder that it lies in") from None
    try:
        names = [text] if (ROOT / Path(text).expanduser()).exists() else shlex.split(text)
        found = [path for name in names for path in pictures_at(ROOT / Path(name).expanduser())]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"INPUT {text!r} cannot be read: {reason}. Name a picture or a folder of pictures.") from error
    if not found:
        raise RunError(f"INPUT {text!r} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return found


def pictures_at(path: Path) -> list[Path]:
    """The file itself, or a folder's pictures. Raises OSError."""
    if path.is_dir():
        return sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
    path.stat()
    return [path]


def read_picture(path: Path) -> np.ndarray:
    """A picture file as the network wants it: uint8 28×28, ink bright on dark. Raises PictureError with the reason."""
    return to_digit(decode(path))


def decode(path: Path) -> np.ndarray:
    """A picture file's luminance, uint8 H×W, scaled down to a working size; threads may do this side by side.

    The first frame of an animation, any bit depth, transparency laid on white, light on dark or dark on light.
    Raises PictureError with the reason.
    """
    try:
        if path.stat().st_size == 0:
            raise PictureError("the file is empty")
        with Image.open(path) as picture:
            if picture.width * picture.height > LARGEST:
                raise PictureError(f"{picture.width} × {picture.height} pixels are too many")
            picture.draft("L", (WORKING, WORKING))  # a JPEG is decoded no larger than needed
            return to_grey(ImageOps.exif_transpose(picture))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("far too many pixels") from error
    except UnidentifiedImageError as error:
        raise PictureError("not a picture of a known kind") from error
    except Exception as error:  # Pillow's readers raise many kinds for broken files
        raise PictureError(f"broken picture: {error or type(error).__name__}") from error


def to_grey(picture: Image.Image) -> np.ndarray:
    """Luminance, uint8 H×W, scaled down to a working size."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float32)
        top = 65535.0 if values.max() > 255 else 255.0
        picture = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, paper_for(layer)), layer)
    grey = picture.convert("L")
    grey.thumbnail((WORKING, WORKING), Image.Resampling.BOX)
    return np.asarray(grey)


def paper_for(layer: Image.Image) -> str:
    """What lies under a transparent picture: black beneath bright ink, else white."""
    pixels = np.asarray(layer, np.float32)
    ink = pixels[..., 3] > 0
    return "black" if ink.any() and pixels[..., :3][ink].mean() > 160 else "white"


def to_digit(grey: np.ndarray) -> np.ndarray:
    """Ink on its own, framed: uint8 28×28. A picture that already is MNIST's is taken as it is.

    Raises PictureError when nothing stands out.
    """
    if grey.shape != (SIZE, SIZE):
        raised = raised_above_paper(grey)
    elif border(grey).any():
        raised = restore(grey[None])[0].astype(np.float32)
    else:
        framed = frame(grey)
        return grey if np.abs(framed.astype(int) - grey).max() <= 1 else framed
    ink = stands_out(raised)
    if not ink.any():
        raise PictureError("no ink: nothing stands out from the background")
    return frame(ink)
