"""Every kind of picture file that is read, made here; what else lies in a folder; the optional kinds."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from mnistlib.core.errors import RunError
from mnistlib.data.synthetic import examples
from mnistlib.imaging import image_formats
from mnistlib.imaging.framing import rasterize
from mnistlib.imaging.image_files import decode, find_pictures, input_pictures, read_batches
from mnistlib.imaging.image_formats import PictureError, suffixes, with_pages

SEVEN = rasterize(examples()[1])
WRITABLE = sorted(
    {".apng", ".avif", ".bmp", ".bw", ".dds", ".dib", ".gif", ".icns", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpg"}
    | {".mpo", ".msp", ".pbm", ".pcx", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".rgb", ".sgi", ".tga", ".tif"}
    | {".webp", ".xbm"}
)
NEEDS = {".avif": "avif", ".j2k": "jpg_2000", ".jp2": "jpg_2000", ".webp": "webp"}
HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.fixture
def sheet() -> Image.Image:
    """A seven as on paper, 200×200, RGB."""
    return Image.fromarray(255 - SEVEN).resize((200, 200)).convert("RGB")


def read(path: Path) -> np.ndarray:
    ((images, (why,)),) = read_batches([path], 1)
    assert not why
    return images[0]


def is_the_seven(image: np.ndarray) -> bool:
    return bool(np.corrcoef(image.ravel(), SEVEN.ravel())[0, 1] > 0.9)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_each_kind_is_found_in_a_folder_and_read(sheet, tmp_path, suffix):
    if suffix in NEEDS and not features.check(NEEDS[suffix]):
        pytest.skip(f"this Pillow lacks {NEEDS[suffix]}")
    mode = {".xbm": "1", ".msp": "1", ".gif": "P", ".pfm": "F"}.get(suffix, "RGB")
    path = tmp_path / f"a{suffix.upper()}"
    sheet.convert(mode).save(path)
    assert find_pictures(str(tmp_path)) == [path]
    assert is_the_seven(read(path))


@pytest.mark.parametrize("name", ["a.eps", "a.png"])
def test_no_program_is_started_for_postscript_whatever_its_name(sheet, tmp_path, monkeypatch, name):
    sheet.save(tmp_path / "whole.eps")
    shutil.copy(tmp_path / "whole.eps", tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(PictureError, match="not a picture in a supported format"):
        decode(tmp_path / name)
    assert not (tmp_path / "started").exists()
    assert not suffixes() & {".eps", ".ps", ".wmf", ".emf", ".fpx", ".psd", ".mpg", ".h5"}


def test_what_is_no_file_is_told(tmp_path):
    for path, words in (
        (tmp_path / "nowhere.png", "no such file"),
        (tmp_path, "neither"),
        (Path("/dev/zero"), "neither"),
    ):
        with pytest.raises(PictureError, match=words):
            decode(path)


def test_subfolders_are_looked_into_but_nothing_hidden_and_nothing_behind_links(sheet, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    wanted = [inside / "a.png", inside / "b" / "c" / "d.png", inside / "b" / "e.png"]
    for path in (*wanted, inside / ".hidden" / "h.png", inside / ".h.png", outside / "o.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    (inside / "out").symlink_to(outside)
    (inside / "round").symlink_to(inside)
    assert find_pictures(str(inside)) == wanted


def without_extras(monkeypatch) -> None:
    """As where neither optional package is installed."""
    for module in ("pillow_heif", "pypdfium2"):
        monkeypatch.setitem(sys.modules, module, None)
    suffixes.cache_clear()


def test_what_a_folder_holds_besides_is_counted_and_what_would_read_it_named(sheet, tmp_path, monkeypatch):
    without_extras(monkeypatch)
    (tmp_path / "sub").mkdir()
    sheet.save(tmp_path / "a.png")
    for name in ("1.HEIC", "2.heic", "sub/3.heic", "b.pdf", "notes", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    paths, left_out = input_pictures(str(tmp_path))
    assert paths == [tmp_path / "a.png"]
    first, *hints = left_out.splitlines()
    assert first == "5 files left out: .heic (3), .pdf (1), no extension (1)"
    assert [line.split(" can be read")[0] for line in hints] == [".pdf", ".heic"]
    assert hints[0].endswith("-m pip install pypdfium2")
    assert hints[1].endswith("-m pip install pillow-heif")
    (tmp_path / "a.png").unlink()
    with pytest.raises(RunError, match=r"no pictures \(.*\.avif.*\); 5 files left out"):
        input_pictures(str(tmp_path))


def test_a_kind_that_lacks_its_package_says_which(tmp_path, monkeypatch):
    without_extras(monkeypatch)
    for name, content, package in (("a.jpg", HEIC_HEAD, "pillow-heif"), ("b.pdf", b"%PDF-1.7\n", "pypdfium2")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match=f"which can be read after .* -m pip install {package}$"):
            decode(tmp_path / name)
    assert with_pages([tmp_path / "b.pdf"]) == [tmp_path / "b.pdf"]
    with pytest.raises(RunError, match=r"no pictures .*1 file left out: \.pdf \(1\)\n\.pdf can be read after"):
        find_pictures(str(tmp_path / "b.pdf"))


@pytest.fixture
def extras():
    suffixes.cache_clear()
    yield
    suffixes.cache_clear()


def test_heic_is_read_with_its_package_by_any_name(sheet, tmp_path, extras):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(sheet).save(tmp_path / "a.heic")
    shutil.copy(tmp_path / "a.heic", tmp_path / "b.jpg")
    assert find_pictures(str(tmp_path)) == [tmp_path / "a.heic", tmp_path / "b.jpg"]
    assert all(is_the_seven(read(path)) for path in find_pictures(str(tmp_path)))


def test_each_page_of_a_pdf_is_a_picture(sheet, tmp_path, extras, monkeypatch):
    pytest.importorskip("pypdfium2")
    blank = Image.new("RGB", sheet.size, "white")
    sheet.save(tmp_path / "a.pdf", save_all=True, append_images=[blank, sheet])
    paths, left_out = input_pictures(str(tmp_path))
    assert [path.name for path in paths] == ["a.pdf page 1", "a.pdf page 2", "a.pdf page 3"]
    assert left_out == ""
    ((images, reasons),) = read_batches(paths, 3)
    assert [bool(why) for why in reasons] == [False, True, False]
    assert is_the_seven(images[0])
    assert is_the_seven(images[2])
    monkeypatch.setattr(image_formats, "MOST_PAGES", 2)
    *_, last = with_pages([tmp_path / "a.pdf"])
    with pytest.raises(PictureError, match=r"^only the first 2 of 3 pages are read$"):
        decode(last)


def test_a_pdf_that_cannot_be_split_into_pages_is_one_row_with_the_reason(sheet, tmp_path, extras):
    pytest.importorskip("pypdfium2")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    sheet.save(tmp_path / "named.png", "PDF", save_all=True, append_images=[sheet])
    sheet.save(tmp_path / "one.png", "PDF")
    sheet.save(tmp_path / "picture.pdf", "PNG")
    assert with_pages([tmp_path / "broken.pdf"]) == [tmp_path / "broken.pdf"]
    for name, words in (("broken.pdf", "broken picture"), ("named.png", r"2 pages: .* ends in \.pdf")):
        with pytest.raises(PictureError, match=words):
            decode(tmp_path / name)
    for name in ("one.png", "picture.pdf"):
        (path,) = with_pages([tmp_path / name])
        assert is_the_seven(read(path))
