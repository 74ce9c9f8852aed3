"""A person's image file → 28×28, through the same framing as MNIST's own pictures."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from mnistlib.files import ROOT, RunError
from mnistlib.ink import SIZE, frame
from mnistlib.restore import restore

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
LARGEST = 50_000_000
WORKING = 200
LEAST_CONTRAST = 24
DIM = 64
COARSE = 80
OWN_EDGES = 10
WIDEST = 0.3  # of the shorter side: no stroke is wider
SPECK = 0.03
STRONGEST = 20  # this pixel from the top counts as full ink: a few may be noise
SMALLEST = 12


class PictureError(ValueError):
    """Why a picture cannot be recognised, in a few words."""


def find_pictures(text: str) -> list[Path]:
    """The picture files that INPUT names, by name: a picture, a folder's own pictures, or several of these.

    `text` is one path, or several quoted as in a shell; relative to the project's root.
    Raises RunError when nothing is there or it cannot be read.
    """
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
    """A picture file as the network wants it: uint8 28×28, ink bright on dark.

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
            grey = to_grey(ImageOps.exif_transpose(picture))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("far too many pixels") from error
    except UnidentifiedImageError as error:
        raise PictureError("not a picture of a known kind") from error
    except Exception as error:  # Pillow's readers raise many kinds for broken files
        raise PictureError(f"broken picture: {error or type(error).__name__}") from error
    return to_digit(grey)


def to_grey(picture: Image.Image) -> np.ndarray:
    """Luminance in 0…255, float32 H×W, scaled down to a working size."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float32)
        top = 65535.0 if values.max() > 255 else 255.0
        picture = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, paper_for(layer)), layer)
    grey = picture.convert("L")
    grey.thumbnail((WORKING, WORKING), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


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
        raised = restore(grey.astype(np.uint8)[None])[0].astype(np.float32)
    else:
        framed, exact = frame(grey), grey.astype(np.uint8)
        return exact if np.abs(framed.astype(int) - exact).max() <= 1 else framed
    ink = stands_out(raised)
    if not ink.any():
        raise PictureError("no ink: nothing stands out from the background")
    return frame(ink)


def raised_above_paper(grey: np.ndarray) -> np.ndarray:
    """How much each pixel differs from the paper, darker or brighter as the ink is: float32 H×W, above 0 for ink.

    The paper of dark ink is what a closing leaves, through whose square no stroke reaches; that of bright ink, what an
    opening leaves (bottom-hat and top-hat transform, Serra 1982): so light from one side, a lens's dim corners, a
    hand's shadow and the table beyond the sheet are paper. Of the two the smoother one is right: the other still holds
    the strokes, as blocks. Dark ink counts as the share of the paper's light that it takes, in a shadow as beside.
    """
    coarse = np.asarray(Image.fromarray(grey).reduce(2 if min(grey.shape) > COARSE else 1))
    closed, opened = paper_of(coarse, ndimage.grey_closing), paper_of(coarse, ndimage.grey_opening)
    if roughness(closed, coarse) <= roughness(opened, coarse):
        paper = paper_of(grey, ndimage.grey_closing)
        return (paper - grey) * (255 / np.maximum(paper, DIM))
    return grey - paper_of(grey, ndimage.grey_opening)


def paper_of(grey: np.ndarray, way: Callable[..., np.ndarray]) -> np.ndarray:
    """What a closing or an opening by the widest stroke leaves, as if the outermost pixels went on for ever."""
    reach = max(1, round(min(grey.shape) * WIDEST / 2))
    wide: np.ndarray = way(np.pad(grey, reach, mode="edge"), (2 * reach + 1, 2 * reach + 1), mode="nearest")
    return wide[reach:-reach, reach:-reach]


def roughness(paper: np.ndarray, grey: np.ndarray) -> float:
    """The sum of all squared steps between neighbours in the paper; what they exceed the picture's own counts tenfold.

    A wrong paper has edges of its own, where the square did not fit between the strokes.
    """
    total = 0.0
    for axis in (0, 1):
        ours, theirs = (np.square(np.diff(each, axis=axis)) for each in (paper, grey))
        total += float((ours + OWN_EDGES * np.clip(ours - theirs, 0, None)).sum(dtype=np.float64))
    return total


def stands_out(raised: np.ndarray) -> np.ndarray:
    """What is raised above most of the picture and belongs to the digit, stretched to 0…255; all 0 if nothing does."""
    ranked = np.sort(raised, axis=None)
    paper, strongest = ranked[raised.size // 2], ranked[-STRONGEST if raised.size > 1000 else -1]
    if strongest - paper < LEAST_CONTRAST:
        return np.zeros_like(raised)
    stretched = np.clip((raised - paper) * (255 / (strongest - paper)), 0, 255)
    stretched[stretched < 64] = 0
    return stretched * belongs(stretched > 100)


def belongs(mask: np.ndarray) -> np.ndarray:
    """Where the digit is, bool H×W with its soft edges: without specks, and without what comes in from the border.

    Pieces at the border are left out only when what remains could be the digit: a twelfth of the picture or more.
    """
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    inside = np.ones(max(count, 1), bool)
    inside[np.unique(border(pieces)[border(pieces) > 0]) - 1] = False
    for candidates in (inside, np.ones_like(inside)):
        kept = candidates & (sizes >= SPECK * max(sizes[candidates].max(initial=0), 1))
        digit = np.append(False, kept)[pieces]
        if kept.any() and extent(digit) >= min(mask.shape) / SMALLEST:
            break
    return ndimage.binary_dilation(digit, iterations=2)


def extent(mask: np.ndarray) -> int:
    """The longer side of what is set."""
    return max((int(np.ptp(np.flatnonzero(mask.any(axis)))) + 1 for axis in (0, 1) if mask.any()), default=0)


def border(grey: np.ndarray) -> np.ndarray:
    """The outermost pixels, in one row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
