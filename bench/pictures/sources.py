"""Sets of picture files that `pictures.py` scores: real, rendered pen drawings, cut MNIST digits, and no digits."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.accuracy.doodles import DOODLES, LETTERS
from bench.accuracy.pendigits import Drawing, read_drawings
from bench.pictures.papers import QUALITY
from bench.pictures.rendered import CONDITIONS, Rng, ink, negative
from mnistlib.core.files import ROOT
from mnistlib.data.loading import obtain
from mnistlib.inference.predictor import find_run

DEVELOPMENT_WRITERS = 15
TARGETS = (20, 28, 29, 32, 64, 280)
Labeled = list[tuple[Path, str]]  # a picture's file with its digits; an empty text: no digit


@dataclass(frozen=True)
class Source:
    """A named set of picture files, written or found by `files(folder, count, writers)`."""

    name: str
    files: Callable[[Path, int, str], Labeled]


def real_sources() -> Iterator[Source]:
    """Yield the folders of real pictures."""
    folder = os.environ.get("PICTURES")
    if folder:
        root = ROOT / folder
        for place in sorted((root / "single").iterdir()):
            yield Source(f"single/{place.name}", lambda *_, place=place: labeled_by_folder(place))
        yield Source("odd", lambda *_: [(p, odd_label(p)) for p in sorted((root / "odd").iterdir())])


def labeled_by_folder(folder: Path) -> Labeled:
    return [(path, path.parent.name) for path in sorted(folder.rglob("*")) if path.is_file()]


def odd_label(path: Path) -> str:
    return path.stem[-2:] if path.stem.startswith("two_") else path.stem[-1]


def pen_sources() -> Iterator[Source]:
    """Yield a source per condition in which pen drawings are rendered."""
    if os.environ.get("PEN_STROKES"):
        for name in CONDITIONS:
            yield Source(name, lambda folder, count, writers, name=name: rendered(name, folder, count, writers))


def rendered(name: str, folder: Path, count: int, writers: str) -> Labeled:
    """Write `count` drawings in one condition, as many of each writer as can be."""
    rng = seeded(name, writers)
    chosen = stratified(all_drawings(ROOT / os.environ["PEN_STROKES"]), count, writers, rng)
    return [
        (save(folder / f"{i:04}", CONDITIONS[name](rng, drawing), QUALITY.get(name)), str(drawing.digit))
        for i, drawing in enumerate(chosen)
    ]


all_drawings = cache(read_drawings)  # every condition draws from them


def seeded(name: str, writers: str) -> Rng:
    return np.random.default_rng(zlib.crc32(f"{name}/{writers}".encode()))


def stratified(drawings: Sequence[Drawing], count: int, writers: str, rng: Rng) -> list[Drawing]:
    """Choose drawings of one half of the writers: one of each writer in turn."""
    names = sorted({drawing.writer for drawing in drawings})
    half = names[:DEVELOPMENT_WRITERS] if writers == "tune" else names[DEVELOPMENT_WRITERS:]
    of_each = [rng.permutation([i for i, d in enumerate(drawings) if d.writer == name]) for name in half]
    return [drawings[of_each[i % len(half)][i // len(half)]] for i in range(count)]


def save(path: Path, picture: np.ndarray, quality: int | None = None) -> Path:
    """Write a picture, H×W or H×W×3 (RGB), as PNG or, with a quality, as JPEG; return its path."""
    path = path.with_suffix(".jpg" if quality else ".png")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if quality else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1], options)
    return path


def mnist_sources(run: str) -> Iterator[Source]:
    """Yield MNIST's digits whole, and cut to their box: stretched to squares, and with their aspect kept."""
    yield Source("MNIST, whole", lambda *to: cut_digits(run, "MNIST, whole", 0, True, *to))
    for kind, keep in (("stretched", False), ("aspect kept", True)):
        for side in TARGETS:
            name = f"MNIST cut, {kind}, {side}"
            yield Source(name, lambda *to, name=name, side=side, keep=keep: cut_digits(run, name, side, keep, *to))


def cut_digits(run: str, name: str, side: int, keep: bool, folder: Path, count: int, writers: str) -> Labeled:
    """Write MNIST's digits cut to their box, half of them dark on light.

    They are the run's validation pictures for `tune` and MNIST's test pictures for `report`.
    """
    rng = seeded(name, writers)
    images, labels = mnist_digits(run, writers)
    return [
        (save(folder / f"{i:05}", cut(images[at], side, keep, dark=i % 2 == 1)), str(labels[at]))
        for i, at in enumerate(rng.permutation(len(labels))[:count].tolist())
    ]


def mnist_digits(run: str, writers: str) -> tuple[np.ndarray, np.ndarray]:
    if writers == "report":
        raw = obtain("mnist")
        return raw.test_images, raw.test_labels
    folder = find_run(run).folder / "data" / "processed"
    return np.load(folder / "val_images.npy", mmap_mode="r"), np.load(folder / "val_labels.npy")


def cut(image: np.ndarray, side: int, keep: bool, dark: bool) -> np.ndarray:
    """Cut to the ink's box and resize: to a square, or so that the longer side is `side`; leave it whole for side 0."""
    if not side:
        return 255 - image if dark else np.asarray(image)
    x, y, w, h = cv2.boundingRect(np.asarray(image))
    size = (max(1, round(side * w / max(w, h))), max(1, round(side * h / max(w, h)))) if keep else (side, side)
    how = cv2.INTER_AREA if side < max(w, h) else cv2.INTER_CUBIC
    resized = cv2.resize(np.asarray(image)[y : y + h, x : x + w], size, interpolation=how)
    return 255 - resized if dark else resized


def no_digit_sources() -> Iterator[Source]:
    """Yield what is no digit: a prediction for it is right when it is not accepted."""
    drawn = {"letters": LETTERS, "doodles": DOODLES, "smileys and hearts": None}
    for name, shapes in drawn.items():
        yield Source(f"no digit: {name}", lambda *to, name=name, shapes=shapes: no_digits(name, shapes, *to))


def no_digits(name: str, shapes: dict[str, Any] | None, folder: Path, count: int, writers: str) -> Labeled:
    """Write shapes with varied pens, widths and slants."""
    rng = seeded(name, writers)
    pictures = []
    for i in range(count):
        strokes = list(shapes.values())[i % len(shapes)] if shapes else (heart(rng), smiley(rng))[i % 2]
        lean = np.array([[rng.uniform(0.8, 1.2), 0], [rng.uniform(-0.2, 0.2), 1]])
        drawing = Drawing(-1, 0, [np.array(stroke) @ lean for stroke in strokes])
        picture = negative(ink(rng, drawing, pen=rng.uniform(0.03, 0.12)))
        pictures.append((save(folder / f"{i:04}", picture), ""))
    return pictures


def heart(rng: Rng) -> list[np.ndarray]:
    t = np.linspace(0, 2 * np.pi, 60) + rng.uniform(-0.05, 0.05)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) * rng.uniform(0.9, 1.1)
    return [np.stack([across, down], 1) * 3]


def smiley(rng: Rng) -> list[np.ndarray]:
    def arc(center: tuple[float, float], radius: float, start: float, end: float) -> np.ndarray:
        t = np.linspace(start, end, 50)
        return np.stack([np.cos(t), np.sin(t)], 1) * radius + center

    eyes = rng.uniform(14, 22)
    mouth = arc((50, 50), rng.uniform(24, 32), 0.15 * np.pi, 0.85 * np.pi)
    return [arc((50, 50), 50, 0, 2 * np.pi), arc((50 - eyes, 35), 2, 0, 6), arc((50 + eyes, 35), 2, 0, 6), mouth]


def all_sources(run: str) -> list[Source]:
    """Return every source that the environment allows: PICTURES and PEN_STROKES name files that may be missing."""
    return [*real_sources(), *pen_sources(), *mnist_sources(run), *no_digit_sources()]
