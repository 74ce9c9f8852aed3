"""Decode a picture file to luminance within limits of time and memory, in a thread or in a subprocess."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from traceback import clear_frames

import numpy as np
from PIL import Image, ImageOps

from mnistlib.core.files import ROOT
from mnistlib.imaging.image_formats import check_page, is_pdf, open_picture, page_of, render_page
from mnistlib.imaging.limits import MEMORY, MEMORY_BUDGET, SECONDS, TOO_SLOW, PictureError, TimedFile, open_file

WORKING = 400  # pixels of the longer side that is worked with
SHRUNK = 1000  # from twice this side on, a picture is shrunk tile by tile before it is converted
SCANNED = 1_000_000_000  # pixels times scans of a JPEG
UNSTOPPABLE = ("TIFF", "AVIF", "HEIF", "JPEG2000")  # decoders that read the whole file before they compute
LARGE = 4_000_000  # pixels, or bytes of a file, from which these are decoded in a subprocess
TIFF, ICONS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), (b"icns", b"\0\0\1\0")
# How many copies of a picture its decoder holds. A phone's HEIC of 24 million pixels fits into MEMORY.
COPIES = {"TIFF": 2.5, "WEBP": 5, "AVIF": 2.7, "HEIF": 2.7, "JPEG2000": 8, "DDS": 2, "QOI": 2, "SGI": 2}
INTERPRETER = 100_000_000  # bytes that a process needs in addition
ORIENTATION = 0x0112
GREY = ("L", "1", "LA")  # modes without color
HUE = 1.5  # contrast of the colors over that of luminance from which on colors count
REFUSED = 3


def decode(path: Path, alone: bool = False, side: int = WORKING) -> np.ndarray:
    """Decode a picture file to luminance, scaled down to a working size; safe in several threads.

    It handles any bit depth, transparency (laid on white), light ink on dark, and dark ink on light. Of an animation it
    takes the first frame. A TIFF of several pages is refused, because any of them may be meant.

    Args:
        path: a file, or the name of a page as `image_formats.with_pages` returns it.
        alone: whether this process decodes only this picture, and may be ended.
        side: the most pixels of the longer side.

    Returns:
        uint8 H×W.

    Raises:
        PictureError: the picture cannot be decoded; the message is the reason.
    """
    with ExitStack() as held:
        try:
            return decode_within(path, held, alone, side)
        except PictureError:
            raise
        except Image.DecompressionBombError as error:
            raise PictureError("far too many pixels") from error
        except Exception as error:  # Pillow's readers raise many kinds for broken files
            clear_frames(error.__traceback__)  # its frames hold the picture in memory
            raise PictureError(f"broken picture: {error or type(error).__name__}") from error


def decode_within(path: Path, held: ExitStack, alone: bool, side: int) -> np.ndarray:
    """Decode a file of any kind, its memory reserved in `held`. Raises PictureError and what the decoders raise."""
    place, page = page_of(path)
    with open_file(place) as file:
        if is_pdf(file):
            check_page(file, page)
            return to_grey(render_page(file, page), side) if alone else decode_in_subprocess(path, MEMORY // 2, side)
        if not alone and opens_slowly(file):
            return decode_in_subprocess(path, MEMORY, side)
        return decode_file(path, file, held, alone, side)


def full_size(path: Path) -> tuple[int, int]:
    """Return a picture's own width and height, held upright, without decoding it; of a PDF's page, as rendered.

    Raises:
        PictureError: it cannot be opened.
    """
    place, page = page_of(path)
    try:
        with open_file(place) as file:
            if is_pdf(file):
                return render_page(file, page).size
            with closing(open_picture(file)) as picture:
                turned = picture.getexif().get(ORIENTATION, 1) >= 5
                return picture.size[::-1] if turned else picture.size
    except PictureError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds for broken files
        raise PictureError(f"broken picture: {error or type(error).__name__}") from error


def opens_slowly(file: TimedFile) -> bool:
    """Return whether opening the file takes long: an icon is decoded, and a TIFF's directory may fill its file."""
    head = file.peek(4)[:4]
    return head in ICONS or (head in TIFF and os.fstat(file.fileno()).st_size > LARGE)


def decode_file(path: Path, file: TimedFile, held: ExitStack, alone: bool, side: int) -> np.ndarray:
    """Decode with Pillow. Raises what Pillow raises, and PictureError for what costs too much."""
    scans = count_scans(file)
    with closing(open_picture(file)) as picture:
        size, pixels = f"{picture.width} × {picture.height} pixels", picture.width * picture.height
        if pixels * scans > SCANNED:
            raise PictureError(f"{scans} scans of {size} are too many")
        if picture.format == "TIFF" and has_pages(picture):
            raise PictureError("several pages: save each as a picture of its own")
        needed = 2 * pixels * len(picture.getbands()) if scans > 1 else 0  # a JPEG's coefficients, kept to the end
        picture.draft(None, (side, side))  # a JPEG is decoded no larger than needed
        needed += memory_for(picture, max(side, SHRUNK))
        if needed > MEMORY:
            raise PictureError(f"{size} are too many")
        if not alone and needs_subprocess(picture, pixels, file):
            return decode_in_subprocess(path, needed, side)
        held.enter_context(MEMORY_BUDGET.taken(needed))
        return to_grey(upright(picture, max(side, SHRUNK)), side)


def count_scans(file: TimedFile) -> int:
    """Count a JPEG's scans, thumbnails included: a small file may hold thousands, each over all pixels."""
    if not file.peek(2).startswith(b"\xff\xd8"):
        return 1
    count = sum(piece.count(b"\xff\xda") for piece in iter(lambda: file.read(1 << 20), b""))
    file.seek(0)
    return max(1, count)


def has_pages(picture: Image.Image) -> bool:
    """Return whether there is a second page; counting them all may take long."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


def memory_for(picture: Image.Image, shrunk: int) -> int:
    """Estimate the bytes that decoding and scaling down take."""
    pixels = picture.width * picture.height
    wide = picture.mode in ("I", "F") or len(picture.getbands()) > 1
    each = 2 if picture.mode.startswith("I;16") else 4 if wide else 1
    left = pixels // max(1, max(picture.size) // shrunk) ** 2
    return int(pixels * each * COPIES.get(picture.format or "", 1.2)) + 32 * left


def needs_subprocess(picture: Image.Image, pixels: int, file: TimedFile) -> bool:
    """Return whether the decoder may compute for long and cannot be stopped."""
    large = pixels > LARGE or os.fstat(file.fileno()).st_size > LARGE
    return picture.format in UNSTOPPABLE and (large or picture.info.get("compression") == "jpeg")


def decode_in_subprocess(path: Path, needed: int, side: int) -> np.ndarray:
    """Decode in a subprocess, which is ended when it takes too long."""
    command = [sys.executable, "-m", "mnistlib.imaging.decoding", str(path.absolute()), str(needed + INTERPRETER)]
    command.append(str(side))
    settings = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        with MEMORY_BUDGET.taken(needed):
            done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise PictureError(TOO_SLOW) from None
    if done.returncode == REFUSED:
        raise PictureError(done.stdout.decode())
    if done.returncode:
        raise PictureError("broken picture: its decoder crashed")
    return np.asarray(Image.open(io.BytesIO(done.stdout), formats=["PNG"]))


def main() -> int:
    """Write one picture's luminance as PNG; or the reason why it is refused, with an exit code of its own."""
    path, most, side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        grey = decode(path, alone=True, side=side)
    except PictureError as error:
        sys.stdout.buffer.write(str(error).encode())
        return REFUSED
    Image.fromarray(grey).save(sys.stdout.buffer, "PNG")
    return 0


def upright(picture: Image.Image, shrunk: int) -> Image.Image:
    """Rotate the picture as its camera was held; a large one is shrunk by a whole factor, tile by tile."""
    factor = max(picture.size) // shrunk
    if factor < 2:
        return ImageOps.exif_transpose(picture)
    side = factor * max(1, SHRUNK // factor)
    mode = to_averageable(picture.crop((0, 0, 1, 1))).mode
    small = Image.new(mode, [-(-length // factor) for length in picture.size])
    for top in range(0, picture.height, side):
        for left in range(0, picture.width, side):
            tile = picture.crop((left, top, min(left + side, picture.width), min(top + side, picture.height)))
            small.paste(to_averageable(tile).reduce(factor), (left // factor, top // factor))
    small.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(small)


def to_averageable(tile: Image.Image) -> Image.Image:
    """Convert part of a picture to a mode that can be averaged: floats, with transparency, colors or luminance."""
    if is_deep(tile):
        return Image.fromarray(np.nan_to_num(np.asarray(tile, np.float32), posinf=0, neginf=0))
    return tile.convert("RGBA" if is_transparent(tile) else "L" if tile.mode in GREY else "RGB")


def is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def is_transparent(picture: Image.Image) -> bool:
    return "A" in picture.mode or "transparency" in picture.info


def to_grey(picture: Image.Image, side: int) -> np.ndarray:
    """Convert to luminance, uint8 H×W, scaled down to a working size."""
    if is_deep(picture):
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        picture = Image.fromarray(np.clip(values * (255 / full_scale(values)), 0, 255).astype(np.uint8))
    if is_transparent(picture):
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, paper_for(layer)), layer)
    picture = picture.convert("L" if picture.mode in GREY else "RGB")
    picture.thumbnail((side, side), Image.Resampling.BOX)
    grey = np.asarray(picture.convert("L"))
    return grey if picture.mode == "L" else strongest_contrast(np.asarray(picture), grey)


def strongest_contrast(rgb: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Return luminance, or the first principal component of the colors where it has far more contrast.

    Red ink on green paper of the same lightness differs in hue alone. Args: uint8 H×W×3 and H×W; returns uint8 H×W.
    """
    colors = rgb.reshape(-1, 3).astype(np.float32)
    spread, axes = np.linalg.eigh(np.cov(colors[:: max(1, len(colors) // 10_000)], rowvar=False))
    if np.sqrt(max(spread[-1], 0) / 3) <= HUE * grey.std():  # a grey of contrast c has a spread of 3 c²
        return grey
    axis = axes[:, -1] * np.sign(axes[:, -1].sum() or 1)
    along = colors @ axis.astype(np.float32)
    low, high = along.min(), along.max()
    return ((along - low) * (255 / max(high - low, 255))).reshape(grey.shape).astype(np.uint8)


def full_scale(values: np.ndarray) -> float:
    """Return the value of full brightness: 1 for floats, else the maximum of 8, 10, 12, 14 or 16 bits that fits."""
    most = values.max()  # floats that were resized may exceed 1 a little
    return 1.0 if most <= 1.5 else float(next((top for top in (255, 1023, 4095, 16383, 65535) if most <= top), most))


def paper_for(layer: Image.Image) -> str:
    """Return the background for a transparent picture: black beneath bright ink, else white."""
    pixels = np.asarray(layer)
    ink = pixels[..., 3] > 0
    return "black" if ink.any() and pixels[..., :3][ink].mean() > 160 else "white"


if __name__ == "__main__":
    sys.exit(main())
