"""The kinds of picture file that are read: Pillow's own, HEIC and PDF with optional packages; none starts a program."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image, UnidentifiedImageError

from mnistlib.machine import pip_install

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


class PictureError(ValueError):
    """Why a picture cannot be recognised, in a few words."""


@cache
def suffixes() -> frozenset[str]:
    """The extensions of the kinds that can be read here, in lower case."""
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")}
    return frozenset(known | {suffix for suffix, (module, _) in EXTRAS.items() if find_spec(module)})


def left_out_words(left_out: Mapping[str, int]) -> str:
    """How many files of which extensions were left out, and what would read them; empty for none."""
    if not left_out:
        return ""
    ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{kind} ({count})" for kind, count in ranked[:8]) + (", …" if len(ranked) > 8 else "")
    count = sum(left_out.values())
    lacking = {EXTRAS[kind][1]: kind for kind in sorted(left_out, reverse=True) if kind in EXTRAS}
    hints = "".join(f"\n{kind} can be read after {pip_install(package)}" for package, kind in lacking.items())
    return f"{count:,} file{'s' * (count != 1)} left out: {kinds}{hints}"


def open_picture(path: Path) -> Image.Image:
    """A picture file, opened by what it holds, whatever its name. Raises PictureError and what Pillow raises."""
    page = PAGE.fullmatch(path.name)
    if page and not path.exists():
        return render_page(path.with_name(page[1]), int(page[2]))
    check_file(path)
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        with path.open("rb") as file:
            head = file.read(12)
    if head.startswith(b"%PDF-"):
        return render_page(path, 0)
    if head[4:8] == b"ftyp" and head[8:] in BRANDS:
        extra(HEIC, "a HEIC picture").register_heif_opener()
        return Image.open(path, formats=["HEIF"])
    raise PictureError("not a picture of a known kind")


def check_file(path: Path) -> None:
    """Raises PictureError for what is no file with something in it; to read a device or a pipe might never end."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    if not stat.S_ISREG(status.st_mode):
        raise PictureError("neither a picture file nor a folder")
    if status.st_size == 0:
        raise PictureError("the file is empty")


def extra(package: tuple[str, str], what: str) -> Any:
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
        with PDFIUM, extra(PDF, "").PdfDocument(path) as document:
            count = len(document)
    except Exception:  # whoever reads it is told why
        return [path]
    return [path.with_name(f"{path.name} page {number + 1}") for number in range(min(count, MOST_PAGES + 1))] or [path]


def render_page(path: Path, number: int) -> Image.Image:
    """A page of a PDF, counted from 1; 0 is the only one. Raises PictureError and what PDFium raises."""
    with PDFIUM, extra(PDF, "a PDF").PdfDocument(path) as document:
        if number > MOST_PAGES:
            raise PictureError(f"only the first {MOST_PAGES} of {len(document)} pages are read")
        if not number and len(document) > 1:
            raise PictureError(f"{len(document)} pages: give the file a name that ends in .pdf")
        page = document[max(number, 1) - 1]
        return page.render(scale=PAGE_SIDE / max(page.get_size()), grayscale=True).to_pil().copy()
