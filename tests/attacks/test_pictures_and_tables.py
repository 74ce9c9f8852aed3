"""Pictures, parameter files and names from people who mean harm.

| attack | where | what must happen |
|---|---|---|
| PostScript in a file called .png | `formats.open_picture` | refused; no program starts (`test_formats`) |
| a TIFF of 40,000 pages | `decode.decode` | refused after its second page |
| a JPEG of thousands of scans; much for a slow decoder; endless markers or text | `decode.decode` | refused in 5 s |
| pictures of 7000² in a few kB, many at once | `read_batches` | read, or refused; 400 MB over all threads |
| such a picture inside an icon | `decode.decode` | the same |
| links to /proc, /sys, devices, pipes, huge files as a picture | `decode.decode`, `pictures.find_pictures` | refused |
| the same as PARAMS | `params.load_file` | refused in words |
| `=`, `+`, `-`, `@`, tab, CR, LF at the beginning or in a file name | `predictions.csv` | one row a file; no formula |
| characters that turn or hide text in a file name | terminal, page, CSV | shown as \\u202e |
| HTML and TeX in the name of a file, a class or a run | pages and figures | shown as text |
| a full disk | record, log, pages, answers | words, exit code, nothing half-written |
| the same drawing saved twice at once | `handwriting.save_drawing` | kept once |
"""

import csv
import io
import os
import re
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from mnistlib.core.config import ParamsError, load_file
from mnistlib.core.errors import RunError
from mnistlib.core.formatting import Table
from mnistlib.imaging import limits
from mnistlib.imaging.decoding import decode
from mnistlib.imaging.image_files import find_pictures
from mnistlib.imaging.limits import MemoryBudget, PictureError
from mnistlib.inference.drawings import Drawing, save_drawing
from mnistlib.inference.prediction_table import prediction_rows, save_predictions_csv
from mnistlib.inference.predictor import Prediction
from mnistlib.inference.terminal_output import prediction_lines
from mnistlib.reporting.plots.comparison import plot_flips
from mnistlib.reporting.plots.data import plot_class_balance, plot_class_means, plot_pixel_histogram, plot_samples
from mnistlib.reporting.plots.evaluation import plot_confusion
from mnistlib.reporting.plots.features import plot_map
from mnistlib.reporting.plots.inference import plot_what_the_model_saw
from mnistlib.runs import layout
from mnistlib.runs.layout import Run

ROOT = Path(__file__).resolve().parents[2]


def png(path: Path, side: int, color: int = 0, depth: int = 8) -> Path:
    """A PNG of side² pixels, all 0, in a few kB: written row by row, for it would not fit."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = bytes(1 + side * channels * depth // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row * 50) for _ in range(side // 50)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff_of_pages(path: Path, pages: int) -> Path:
    """A TIFF whose pages are 1 pixel each, one after the other."""
    content = bytearray(b"II*\0" + struct.pack("<I", 8))
    for page in range(pages):
        tags = [
            (256, 3, 1, 1),
            (257, 3, 1, 1),
            (258, 3, 1, 8),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, 0),
            (279, 4, 1, 1),
        ]
        end = len(content) + 2 + 12 * len(tags) + 4
        content += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        content += struct.pack("<I", end if page < pages - 1 else 0)
    path.write_bytes(content)
    return path


def jpeg_of_scans(path: Path, scans: int) -> Path:
    """A progressive JPEG whose last scan is there again and again."""
    buffer = io.BytesIO()
    Image.new("L", (3000, 3000), 200).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * scans + b"\xff\xd9")
    return path


def tiny_qoi(path: Path) -> Path:
    """A QOI of 2500² pixels that differ, each of which Pillow's decoder reads in Python."""
    path.write_bytes(b"qoif" + struct.pack(">IIBB", 2500, 2500, 3, 0) + b"\xfe\1\2\3\xfe\3\2\1" * (2500 * 1250))
    return path


def empty_markers(path: Path) -> Path:
    """A JPEG that begins with 20 million empty comments."""
    path.write_bytes(b"\xff\xd8" + b"\xff\xfe\0\2" * 20_000_000)
    return path


def empty_chunks(path: Path) -> Path:
    """A PNG with 5 million empty chunks before its pixels."""
    content = png(path, 100).read_bytes()
    path.write_bytes(content[:33] + chunk(b"teXt", b"") * 5_000_000 + content[33:])
    return path


def much_text(path: Path) -> Path:
    """A PNG whose texts unpack to 60 MB."""
    content = png(path, 100).read_bytes()
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    path.write_bytes(content[:33] + text * 60 + content[33:])
    return path


def in_an_icon(path: Path) -> Path:
    """An icon said to be of 256 pixels that holds a PNG of 8000²."""
    content = png(path, 8000, color=6).read_bytes()
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(content), 22)
    path.write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + content)
    return path


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (lambda path: tiff_of_pages(path, 40_000), "pages.tif", "several pages"),
        (lambda path: jpeg_of_scans(path, 3000), "scans.jpg", "3005 scans of 3000 × 3000 pixels are too many"),
        (lambda path: png(path, 7500), "large.png", "far too many pixels"),
        (in_an_icon, "icon.ico", "far too many pixels"),
        (much_text, "text.png", "broken picture"),
        (tiny_qoi, "slow.qoi", "more than 1 s"),
        (empty_markers, "markers.jpg", "more than 1 s"),
        (empty_chunks, "chunks.png", "more than 1 s"),
    ],
)
def test_a_picture_that_would_cost_too_much_is_refused(tmp_path, monkeypatch, make, name, words):
    monkeypatch.setattr(limits, "SECONDS", 1.0)
    monkeypatch.setattr(limits, "TOO_SLOW", "more than 1 s")
    began = time.thread_time()
    path = make(tmp_path / name)
    made = time.thread_time()
    with pytest.raises(PictureError, match=words):
        decode(path)
    assert time.thread_time() - made < 4, made - began


PEAK = """
import resource, sys
from pathlib import Path
from mnistlib.imaging import image_files
image_files.cores = lambda: 4
small, *large = map(Path, sys.argv[1:])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
list(image_files.read_batches([small] * 50, 50))
before = peak()
for path in large:
    for _, reasons in image_files.read_batches([path] * 4, 4):
        print(path.name, reasons[0])
print((peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_large_pictures_on_all_threads_take_400_mb_together(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "small.png")
    Image.new("RGBA", (1999, 1999), (9, 8, 7, 30)).save(tmp_path / "clear.png")
    paths = [png(tmp_path / f"{color}-{depth}.png", 7000, color, depth) for color, depth in ((0, 16), (6, 8))]
    cut = tmp_path / "cut.png"
    cut.write_bytes(paths[1].read_bytes()[:-2000])
    command = [sys.executable, "-c", PEAK, tmp_path / "small.png", *paths, cut, tmp_path / "clear.png"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *told, peak = done.stdout.splitlines()
    assert [line.split(" ", 1)[1][:6] for line in told] == ["no ink", "no ink", "broken", "no ink"]
    assert int(peak) < 400_000_000


def test_who_wants_little_memory_does_not_wait_for_who_wants_much():
    room = MemoryBudget(10)
    with room.taken(6), room.taken(4):
        assert room.free == 0
    with room.taken(99):
        assert room.free == 0
    assert room.free == 10


def test_a_large_picture_shrunk_in_tiles_is_as_its_reduced_copy(tmp_path):
    drawn = np.kron(np.random.default_rng(0).integers(0, 256, (21, 40), dtype=np.uint8), np.ones((100, 100), np.uint8))
    grey = Image.fromarray(drawn)
    grey.reduce(4).transpose(Image.Transpose.ROTATE_180).save(tmp_path / "small.png")
    expected = decode(tmp_path / "small.png").astype(int)
    exif = Image.Exif()
    exif[0x0112] = 3
    clear = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    deep = Image.fromarray(drawn.astype(np.uint16) * 257)
    for i, picture in enumerate((grey, grey.convert("RGB"), grey.convert("P"), clear, deep)):
        picture.save(tmp_path / f"{i}.png", exif=exif)
        assert np.abs(decode(tmp_path / f"{i}.png").astype(int) - expected).max() <= 2


def test_what_is_decoded_in_a_process_of_its_own_is_the_same_and_ends_in_time(tmp_path, monkeypatch):
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500), dtype=np.uint8)).convert("RGB")
    drawn.save(tmp_path / "a.png")
    drawn.save(tmp_path / "a.tif")
    assert (tmp_path / "a.tif").stat().st_size > 4_000_000
    assert np.array_equal(decode(tmp_path / "a.tif"), decode(tmp_path / "a.png"))
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:5_000_000])
    with pytest.raises(PictureError, match="broken picture"):
        decode(tmp_path / "b.tif")
    monkeypatch.setattr("mnistlib.imaging.decoding.SECONDS", 0.01)
    with pytest.raises(PictureError, match="more than"):
        decode(tmp_path / "a.tif")


@pytest.fixture
def endless(tmp_path) -> list[Path]:
    """What never ends, or is no picture, under names of pictures."""
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(10**12)
    targets = {
        "zero": "/dev/zero",
        "tty": "/dev/tty",
        "mem": "/proc/self/mem",
        "core": "/proc/kcore",
        "up": "/sys/power/state",
    }
    for name, target in targets.items():
        (tmp_path / f"{name}.png").symlink_to(target)
    return sorted(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc")
def test_what_never_ends_is_no_picture(endless, tmp_path):
    for path in endless:
        with pytest.raises(PictureError, match=r"neither|system|larger|no such file"):
            decode(path)
        with pytest.raises(RunError, match="cannot be read"):
            find_pictures(str(path))
    Image.new("L", (28, 28)).save(tmp_path / "a.jpg")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.jpg")
    assert find_pictures(str(tmp_path)) == [tmp_path / "a.jpg", tmp_path / "link.png"]


def test_what_never_ends_is_no_parameter_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "long.yaml").write_bytes(b"#" * 1_000_001)
    for name, words in (("pipe", "not a regular file"), ("zero", "not a regular file"), ("long", "larger than")):
        with pytest.raises(ParamsError, match=words):
            load_file(tmp_path / f"{name}.yaml")


NAMES = [
    "a\r=1+1.png", "a\n=1+1,8,1.0,True,\n.png", "=cmd.png", "+1.png", "-1.png", "@sum.png", "＝1.png", "\t=1.png",
    "\u202egnp.exe.png", "a\u200bb.png", "\x1b[31mred.png", "\x9b2J.png", "<img src=x onerror=alert(1)>.png",
    "$\\frac$.png",
    "'\"&.png",
]  # fmt: skip


def answered(paths: list[Path]) -> list[Prediction]:
    digit = np.full((28, 28), 9, np.uint8)
    return [Prediction(3, np.eye(10)[3], False, digit, "=why\r\n$\\frac$ <b>") for _ in paths]


def test_no_name_is_a_formula_a_row_or_hidden_in_the_table_of_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    paths = [Path(name) for name in NAMES]
    kept = save_predictions_csv(Run("r"), prediction_rows(paths, answered(paths)))
    text = kept.read_bytes().decode()
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == len(NAMES) + 1
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if re.match(r"[=+\-@＝＋－＠\t\r]", cell)]
    files = [row["file"] for row in csv.DictReader(io.StringIO(text))]
    assert files[:6] == [
        "a\\r=1+1.png", "a\\n=1+1,8,1.0,True,\\n.png", "'=cmd.png", "'+1.png", "'-1.png", "'@sum.png"
    ]  # fmt: skip
    assert files[8] == "\\u202egnp.exe.png"


def test_no_name_turns_hides_or_colours_a_line_in_the_terminal():
    paths = [Path(name) for name in NAMES]
    for line in prediction_lines(paths, answered(paths), {}):
        assert line.isprintable()


def test_names_are_text_in_the_page():
    paths = [Path(name) for name in NAMES]
    html = Table(prediction_rows(paths, answered(paths)))._repr_html_()
    assert "<img" not in html
    assert "<b>" not in html
    assert html.isprintable()


def test_names_are_text_in_figures():
    digits, labels = np.full((10, 28, 28), 9, np.uint8), np.arange(10)
    hostile = [f"{i}$\\frac{{$" for i in range(10)]
    paths = [Path(name) for name in NAMES]
    figures = [
        plot_what_the_model_saw(paths, answered(paths), 20),
        plot_samples(digits, labels, hostile, 10, 0),
        plot_class_balance(labels, labels, hostile),
        plot_class_means(digits, labels, hostile),
        plot_confusion(np.eye(10, dtype=int), hostile),
        plot_map(np.random.default_rng(0).random((10, 2)), labels, labels, hostile, ("$\\a", "b")),
        plot_flips(digits, labels, labels, ("$\\frac{$", "b"), (np.eye(10), np.eye(10))),
        plot_pixel_histogram(digits, 0.1, 0.3),
    ]
    for figure in figures:
        figure.savefig(io.BytesIO())
    for figure in figures[1:6]:
        assert r"3$\frac{$" in [text.get_text() for text in figure.findobj(Text)]


FULL = """
mount -t tmpfs -o size={size} none runs || exit 99
make data PARAMS=smoke SET=data.source=digits
code=$?
find runs -type f > found
mount -o remount,size=50m runs
make data PARAMS=smoke SET=data.source=digits > again.txt 2>&1
echo "then $?"
exit $code
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a small file system, as Linux lets one")
@pytest.mark.parametrize("size", ["8k", pytest.param("60k", marks=pytest.mark.slow)])
def test_a_full_disk_ends_in_words_leaves_nothing_half_written_and_is_made_good(project, size):
    (project.folder / "runs").mkdir()
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", FULL.format(size=size)]
    done = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
    if "unshare" in done.stderr or done.returncode == 99:
        pytest.skip(f"no private mounts here: {done.stderr.strip()}")
    told = done.stdout + done.stderr
    assert done.returncode, told
    assert "No space left on device" in told
    assert "Traceback" not in told
    assert "Logging error" not in told
    assert not [
        line for line in (project.folder / "found").read_text().splitlines() if ".part" in line or ".failed" in line
    ]
    assert done.stdout.splitlines()[-1] == "then 0", (project.folder / "again.txt").read_text()


def test_a_drawing_saved_by_eight_at_once_is_kept_once(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    drawing = Drawing([[[0.0, 0.0], [9.0, 40.0]]], 1, [0.1] * 10, True, "m")
    ready = Barrier(8)

    def keep(_: int) -> tuple[Path, bool]:
        ready.wait()
        return save_drawing(Run("r"), drawing)

    with ThreadPoolExecutor(8) as hands:
        kept = list(hands.map(keep, range(8)))
    assert sorted(new for _, new in kept) == [False] * 7 + [True]
    assert [path.name for path in Run("r").drawings.iterdir()] == [drawing.name]
