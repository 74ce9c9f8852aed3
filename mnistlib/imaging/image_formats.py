"""Open picture files: Pillow's own formats, and HEIC and PDF with optional packages; none starts a program."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from mnistlib.core.formatting import counted
from mnistlib.core.system_info import pip_install
from mnistlib.imaging.limits import LARGEST, PictureError, TimedFile, open_file

FORMATS = (  # Pillow decodes these by itself; EPS would start Ghostscript
    "PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "DIB", "ICO", "ICNS", "CUR", "PCX", "DDS",
    "QOI", "SGI", "SUN", "MSP", "XPM", "XBM", "TGA",
)  # fmt: skip
HEIC, PDF = ("pillow_heif", "pillow-heif"), ("pypdfium2", "pypdfium2")  # modules and their packages
EXTRAS = {".heic": HEIC, ".heif": HEIC, ".hif": HEIC, ".pdf": PDF}
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MOST_PAGES = 100
PAGE = re.compile(r"(.+\.pdf) page (\d+)", re.IGNORECASE | re.DOTALL)
PAGE_SIDE = 1000  # pixels of a page's longer side
PDFIUM = Lock()  # PDFium is not thread-safe

Image.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow refuses twice as many, also inside an icon
PngImagePlugin.MAX_TEXT_MEMORY = 4_000_000  # bytes of unpacked text chunks
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@cache
def suffixes() -> frozenset[str]:
    """Return the extensions that can be read here, in lower case."""
    Image.init()
    pillow = {suffix for suffix, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")}
    return frozenset(pillow | {suffix for suffix, (module, _) in EXTRAS.items() if find_spec(module)})


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Say how many files of which extensions were left out, and what would read them; empty for none."""
    if not left_out:
        return ""
    ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{kind} ({count})" for kind, count in ranked[:8]) + (", …" if len(ranked) > 8 else "")
    lacking = {EXTRAS[kind][1]: kind for kind in sorted(left_out, reverse=True) if kind in EXTRAS}
    hints = "".join(f"\n{kind} can be read after {pip_install(package)}" for package, kind in lacking.items())
    return f"{counted(sum(left_out.values()), 'file')} left out: {kinds}{hints}"


def open_picture(file: TimedFile) -> Image.Image:
    """Open a picture by its content, whatever its name. Raises PictureError and what Pillow raises."""
    head = file.peek(12)[:12]
    if head[4:8] == b"ftyp" and head[8:] in BRANDS:
        optional_module(HEIC, "a HEIC picture").register_heif_opener()
        return Image.open(file, formats=["HEIF"])
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError("not a picture in a supported format") from None


def page_of(path: Path) -> tuple[Path, int]:
    """Return the file of a page's name and the page, counted from 1; for any other file itself and 0."""
    page = PAGE.fullmatch(path.name)
    return (path.with_name(page[1]), int(page[2])) if page and not path.exists() else (path, 0)


def is_pdf(file: TimedFile) -> bool:
    return file.peek(5).startswith(b"%PDF-")


def optional_module(package: tuple[str, str], what: str) -> Any:
    """Import an optional package's module. Raises PictureError, with the command that installs it, if missing."""
    try:
        return import_module(package[0])
    except ImportError:
        raise PictureError(f"{what}, which can be read after {pip_install(package[1])}") from None


def with_pages(paths: Iterable[Path]) -> list[Path]:
    """Replace each PDF by its pages, `scan.pdf page 1` and so on; one page more than allowed, if there are too many."""
    return [one for path in paths for one in (pages_of(path) if path.suffix.lower() == ".pdf" else [path])]


def pages_of(path: Path) -> list[Path]:
    """Return names of a PDF's pages; the file itself where it cannot be opened."""
    try:
        with PDFIUM, open_file(path) as file, optional_module(PDF, "").PdfDocument(file) as document:
            count = len(document)
    except Exception:  # reading it reports the error
        return [path]
    return [path.with_name(f"{path.name} page {number + 1}") for number in range(min(count, MOST_PAGES + 1))] or [path]


def check_page(file: TimedFile, number: int) -> None:
    """Raise PictureError for a page that is not read, and what PDFium raises; 0 is a PDF's only page."""
    with PDFIUM, optional_module(PDF, "a PDF").PdfDocument(file) as document:
        if number > MOST_PAGES:
            raise PictureError(f"only the first {MOST_PAGES} of {len(document)} pages are read")
        if not number and len(document) > 1:
            raise PictureError(f"{len(document)} pages: give the file a name that ends in .pdf")


def render_page(file: TimedFile, number: int) -> Image.Image:
    """Render a page of a PDF, counted from 1; 0 is the only one. Raises what PDFium raises."""
    with PDFIUM, optional_module(PDF, "a PDF").PdfDocument(file) as document:
        page = document[max(number, 1) - 1]
        return page.render(scale=PAGE_SIDE / max(page.get_size()), grayscale=True).to_pil().copy()
