"""The kinds of picture file that are read: Pillow's own, HEIC and PDF with optional packages; none starts a program."""

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

from mnistlib.core.system_info import pip_install
from mnistlib.imaging.limits import LARGEST, PictureError, TimedFile, open_file

FORMATS = (  # those that Pillow decodes by itself; EPS, for one, would start Ghostscript
    "PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "DIB", "ICO", "ICNS", "CUR", "PCX", "DDS",
    "QOI", "SGI", "SUN", "MSP", "XPM", "XBM", "TGA",
)  # fmt: skip
HEIC, PDF = ("pillow_heif", "pillow-heif"), ("pypdfium2", "pypdfium2")  # modules and the packages that hold them
EXTRAS = {".heic": HEIC, ".heif": HEIC, ".hif": HEIC, ".pdf": PDF}
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MOST_PAGES = 100
PAGE = re.compile(r"(.+\.pdf) page (\d+)", re.IGNORECASE | re.DOTALL)
PAGE_SIDE = 1000  # pixels of a page's longer side
PDFIUM = Lock()  # it must not be called by two threads at once

Image.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow refuses twice as many, also where a picture lies in an icon
PngImagePlugin.MAX_TEXT_MEMORY = 4_000_000  # bytes of text beside the pixels, unpacked
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@cache
def suffixes() -> frozenset[str]:
    """The extensions of the kinds that can be read here, in lower case."""
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")}
    return frozenset(known | {suffix for suffix, (module, _) in EXTRAS.items() if find_spec(module)})


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """How many files of which extensions were left out, and what would read them; empty for none."""
    if not left_out:
        return ""
    ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{kind} ({count})" for kind, count in ranked[:8]) + (", …" if len(ranked) > 8 else "")
    count = sum(left_out.values())
    lacking = {EXTRAS[kind][1]: kind for kind in sorted(left_out, reverse=True) if kind in EXTRAS}
    hints = "".join(f"\n{kind} can be read after {pip_install(package)}" for package, kind in lacking.items())
    return f"{count:,} file{'s' * (count != 1)} left out: {kinds}{hints}"


def open_picture(file: TimedFile) -> Image.Image:
    """A picture, opened by what it holds, whatever its name. Raises PictureError and what Pillow raises."""
    head = file.peek(12)[:12]
    if head[4:8] == b"ftyp" and head[8:] in BRANDS:
        optional_module(HEIC, "a HEIC picture").register_heif_opener()
        return Image.open(file, formats=["HEIF"])
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError("not a picture of a known kind") from None


def page_of(path: Path) -> tuple[Path, int]:
    """The file behind a page's name and the page, counted from 1; for any other file itself and 0."""
    page = PAGE.fullmatch(path.name)
    return (path.with_name(page[1]), int(page[2])) if page and not path.exists() else (path, 0)


def is_pdf(file: TimedFile) -> bool:
    return file.peek(5).startswith(b"%PDF-")


def optional_module(package: tuple[str, str], what: str) -> Any:
    """An optional package's module. Raises PictureError, with the command that installs it, where it is lacking."""
    try:
        return import_module(package[0])
    except ImportError:
        raise PictureError(f"{what}, which can be read after {pip_install(package[1])}") from None


def with_pages(paths: Iterable[Path]) -> list[Path]:
    """The files, each PDF replaced by its pages: `scan.pdf page 1` and so on, one name more where they are too many."""
    return [one for path in paths for one in (pages_of(path) if path.suffix.lower() == ".pdf" else [path])]


def pages_of(path: Path) -> list[Path]:
    """Names of a PDF's pages; the file itself where it cannot be opened."""
    try:
        with PDFIUM, open_file(path) as file, optional_module(PDF, "").PdfDocument(file) as document:
            count = len(document)
    except Exception:  # whoever reads it is told why
        return [path]
    return [path.with_name(f"{path.name} page {number + 1}") for number in range(min(count, MOST_PAGES + 1))] or [path]


def check_page(file: TimedFile, number: int) -> None:
    """Raises PictureError for a page that is not read, and what PDFium raises; 0 is a PDF's only page."""
    with PDFIUM, optional_module(PDF, "a PDF").PdfDocument(file) as document:
        if number > MOST_PAGES:
            raise PictureError(f"only the first {MOST_PAGES} of {len(document)} pages are read")
        if not number and len(document) > 1:
            raise PictureError(f"{len(document)} pages: give the file a name that ends in .pdf")


def render_page(file: TimedFile, number: int) -> Image.Image:
    """A page of a PDF, counted from 1; 0 is the only one. Raises what PDFium raises."""
    with PDFIUM, optional_module(PDF, "a PDF").PdfDocument(file) as document:
        page = document[max(number, 1) - 1]
        return page.render(scale=PAGE_SIDE / max(page.get_size()), grayscale=True).to_pil().copy()
