"""A picture file's luminance, within bounds of time and memory: in a thread, or in a process of its own."""

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

WORKING = 200  # pixels of the longer side that is worked with
SHRUNK = 1000  # from twice this side on, a picture is shrunk tile by tile before it is converted
SCANNED = 1_000_000_000  # pixels times scans of a JPEG
UNSTOPPABLE = ("TIFF", "AVIF", "HEIF", "JPEG2000")  # decoders that ask for no more of the file before their end
LARGE = 4_000_000  # pixels, or bytes of a file, from which these get a process of their own
TIFF, ICONS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), (b"icns", b"\0\0\1\0")
# How many copies of a picture its decoder holds at once. A phone's HEIC of 24 million pixels fits into MEMORY.
COPIES = {"TIFF": 2.5, "WEBP": 5, "AVIF": 2.7, "HEIF": 2.7, "JPEG2000": 8, "DDS": 2, "QOI": 2, "SGI": 2}
INTERPRETER = 100_000_000  # bytes that a process needs besides
ORIENTATION = 0x0112
REFUSED = 3


def decode(path: Path, alone: bool = False) -> np.ndarray:
    """Return a picture file's luminance, scaled down to a working size; threads may do this side by side.

    The first frame of an animation, any bit depth, transparency laid on white, light on dark or dark on light. Pages
    are refused: each of them may be meant.

    Args:
        path: a file, or a page's name as `formats.with_pages` gives it.
        alone: whether this process is there for this picture only, and may be ended.

    Returns:
        uint8 H×W.

    Raises:
        PictureError: with the reason.
    """
    with ExitStack() as held:
        try:
            return decode_within(path, held, alone)
        except PictureError:
            raise
        except Image.DecompressionBombError as error:
            raise PictureError("far too many pixels") from error
        except Exception as error:  # Pillow's readers raise many kinds for broken files
            clear_frames(error.__traceback__)  # they hold the picture
            raise PictureError(f"broken picture: {error or type(error).__name__}") from error


def decode_within(path: Path, held: ExitStack, alone: bool) -> np.ndarray:
    """Return the luminance of a file of any kind; the memory for it is entered in `held`. Raises what they raise."""
    place, page = page_of(path)
    with open_file(place) as file:
        if is_pdf(file):
            check_page(file, page)
            return to_grey(render_page(file, page)) if alone else decode_in_subprocess(path, MEMORY // 2)
        if not alone and opens_slowly(file):
            return decode_in_subprocess(path, MEMORY)
        return decode_file(path, file, held, alone)


def opens_slowly(file: TimedFile) -> bool:
    """Return whether to open the file is work already: an icon is decoded, a TIFF's directory may fill its file."""
    head = file.peek(4)[:4]
    return head in ICONS or (head in TIFF and os.fstat(file.fileno()).st_size > LARGE)


def decode_file(path: Path, file: TimedFile, held: ExitStack, alone: bool) -> np.ndarray:
    """Return the luminance of what Pillow reads. Raises what Pillow does, and PictureError for what costs too much."""
    scans = count_scans(file)
    with closing(open_picture(file)) as picture:
        size, pixels = f"{picture.width} × {picture.height} pixels", picture.width * picture.height
        if pixels * scans > SCANNED:
            raise PictureError(f"{scans} scans of {size} are too many")
        if picture.format == "TIFF" and has_pages(picture):
            raise PictureError("several pages: save each as a picture of its own")
        needed = 2 * pixels * len(picture.getbands()) if scans > 1 else 0  # a JPEG's coefficients, kept to the end
        picture.draft("L", (WORKING, WORKING))  # a JPEG is decoded no larger than needed
        needed += memory_for(picture)
        if needed > MEMORY:
            raise PictureError(f"{size} are too many")
        if not alone and needs_subprocess(picture, pixels, file):
            return decode_in_subprocess(path, needed)
        held.enter_context(MEMORY_BUDGET.taken(needed))
        return to_grey(upright(picture))


def count_scans(file: TimedFile) -> int:
    """Return how many scans a JPEG has, thumbnails' included: a small file may hold thousands, each over all pixels."""
    if not file.peek(2).startswith(b"\xff\xd8"):
        return 1
    count = sum(piece.count(b"\xff\xda") for piece in iter(lambda: file.read(1 << 20), b""))
    file.seek(0)
    return max(1, count)


def has_pages(picture: Image.Image) -> bool:
    """Return whether there is a second page; to count them all takes long where there are many."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


def memory_for(picture: Image.Image) -> int:
    """Return about how many bytes it takes to decode the picture and to scale it down."""
    pixels = picture.width * picture.height
    wide = picture.mode in ("I", "F") or len(picture.getbands()) > 1
    each = 2 if picture.mode.startswith("I;16") else 4 if wide else 1
    return int(pixels * each * COPIES.get(picture.format or "", 1.2)) + 32 * min(pixels, 4 * SHRUNK**2)


def needs_subprocess(picture: Image.Image, pixels: int, file: TimedFile) -> bool:
    """Return whether the decoder may compute for long and cannot be stopped."""
    large = pixels > LARGE or os.fstat(file.fileno()).st_size > LARGE
    return picture.format in UNSTOPPABLE and (large or picture.info.get("compression") == "jpeg")


def decode_in_subprocess(path: Path, needed: int) -> np.ndarray:
    """Return the luminance of a picture that a process of its own decodes, which is ended when it takes too long."""
    command = [sys.executable, "-m", "mnistlib.imaging.decoding", str(path.absolute()), str(needed + INTERPRETER)]
    settings = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        with MEMORY_BUDGET.taken(needed):
            done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise PictureError(TOO_SLOW) from None
    if done.returncode == REFUSED:
        raise PictureError(done.stdout.decode())
    if done.returncode:
        raise PictureError("broken picture: its decoder did not come to an end")
    return np.asarray(Image.open(io.BytesIO(done.stdout), formats=["PNG"]))


def main() -> int:
    """Write one picture's luminance as PNG; or why it is refused, with an exit code of its own."""
    path, most = Path(sys.argv[1]), int(sys.argv[2])
    with suppress(ValueError, OSError):  # where the system knows no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        grey = decode(path, alone=True)
    except PictureError as error:
        sys.stdout.buffer.write(str(error).encode())
        return REFUSED
    Image.fromarray(grey).save(sys.stdout.buffer, "PNG")
    return 0


def upright(picture: Image.Image) -> Image.Image:
    """Return the picture as its camera was held; a large one shrunk by a whole factor, tile by tile."""
    factor = max(picture.size) // SHRUNK
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
    """Return a part of a picture in a mode that can be averaged: floats, with transparency, or luminance."""
    if is_deep(tile):
        return Image.fromarray(np.nan_to_num(np.asarray(tile, np.float32), posinf=0, neginf=0))
    return tile.convert("RGBA" if is_transparent(tile) else "L")


def is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def is_transparent(picture: Image.Image) -> bool:
    return "A" in picture.mode or "transparency" in picture.info


def to_grey(picture: Image.Image) -> np.ndarray:
    """Luminance, uint8 H×W, scaled down to a working size."""
    if is_deep(picture):
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        picture = Image.fromarray(np.clip(values * (255 / full_scale(values)), 0, 255).astype(np.uint8))
    if is_transparent(picture):
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
    pixels = np.asarray(layer)
    ink = pixels[..., 3] > 0
    return "black" if ink.any() and pixels[..., :3][ink].mean() > 160 else "white"


if __name__ == "__main__":
    sys.exit(main())
