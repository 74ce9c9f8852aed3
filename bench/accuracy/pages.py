"""Accuracy on pages of numbers: of real ones, and of pages composed of pen drawings. Nothing is trained on them.

`python -m bench.accuracy.pages [--run default] [--pages 20] [--sheets FOLDER]`: digits right and in order, character
error rate (edit distance over digits) and false digits for each folder of PICTURES/several, and for composed pages of
the writers used for tuning and of the others.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.accuracy.pen_drawings import DEVELOPMENT_WRITERS
from bench.accuracy.pendigits import Drawing, read_drawings
from mnistlib.inference.prediction import Page
from mnistlib.inference.predictor import Predictor, load_predictor

WIDTH, HEIGHT = 1240, 1754  # A4 at 150 dots per inch
TOUCHING = 0.05


@dataclass(frozen=True)
class Score:
    """Counts over pages: digits on them, digits read right and in order, edits, and false digits."""

    digits: int = 0
    right: int = 0
    edits: int = 0
    false: int = 0
    most_false: int = 0

    def plus(self, truth: str, found: str) -> Score:
        """Return the score with one more page."""
        edits, right = edit_distance(truth, found)
        false = len(found) - right
        return Score(
            self.digits + len(truth),
            self.right + right,
            self.edits + edits,
            self.false + false,
            max(self.most_false, len(found) - len(truth)),
        )


def edit_distance(truth: str, found: str) -> tuple[int, int]:
    """Return the Levenshtein distance, and the length of the longest common subsequence."""
    edits = np.zeros((len(truth) + 1, len(found) + 1), int)
    common = edits.copy()
    edits[0], edits[:, 0] = np.arange(len(found) + 1), np.arange(len(truth) + 1)
    for i, a in enumerate(truth, 1):
        for j, b in enumerate(found, 1):
            edits[i, j] = min(edits[i - 1, j] + 1, edits[i, j - 1] + 1, edits[i - 1, j - 1] + (a != b))
            common[i, j] = max(common[i - 1, j], common[i, j - 1], common[i - 1, j - 1] + (a == b))
    return int(edits[-1, -1]), int(common[-1, -1])


def real_pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each picture of a folder with its digits in reading order."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield folder / row["file"], "".join(c for c in row["text"] if c.isdigit())


def compose(drawings: list[Drawing], rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Compose a page of 20 to 200 digits of one writer: uint8 H×W, and its digits in reading order."""
    import cv2

    page = np.zeros((HEIGHT, WIDTH), np.uint8)
    height, pen = int(rng.integers(36, 90)), int(rng.integers(2, 8))
    pitch, slope = height * rng.uniform(1.7, 2.4), rng.uniform(-0.05, 0.05)
    ruled = rng.random() < 0.5
    text, wanted, y = "", int(rng.integers(20, 201)), 120.0
    while len(text) < wanted and y + pitch < HEIGHT - 120:
        x = rng.uniform(60, 160)
        if ruled:
            row = y + height * rng.uniform(1.0, 1.1)
            cv2.line(
                page, (0, round(row)), (WIDTH, round(row + slope * WIDTH)), int(rng.integers(70, 140)), 2, cv2.LINE_AA
            )
        while len(text) < wanted and x < WIDTH - 8 * height:
            for _ in range(int(rng.integers(1, 7))):
                drawing = drawings[rng.integers(len(drawings))]
                x = draw(
                    page,
                    drawing,
                    x,
                    y + slope * x + rng.normal(0, 0.06) * height,
                    height * rng.uniform(0.85, 1.15),
                    pen,
                )
                x += rng.uniform(-0.1, 0.0) * height if rng.random() < TOUCHING else rng.uniform(0.1, 0.45) * height
                text += str(drawing.digit)
            x += rng.uniform(1.0, 2.5) * height
        y += pitch
    return photograph(page, rng), text


def draw(page: np.ndarray, drawing: Drawing, left: float, top: float, height: float, pen: int) -> float:
    """Draw a digit in place; return where its right edge lies."""
    import cv2

    points = np.concatenate(drawing.strokes)
    low, size = points.min(0), np.ptp(points, axis=0).max()
    scale = height / max(size, 1)
    for stroke in drawing.strokes:
        path = ((stroke - low) * scale + (left, top)) * 16
        cv2.polylines(page, [np.rint(path).astype(np.int32)], False, 255, pen, cv2.LINE_AA, shift=4)
    return left + float(np.ptp(points[:, 0])) * scale


def photograph(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the inked page under uneven light, a shadow on half of them, blurred, with noise, as a JPEG holds it."""
    import cv2

    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = rng.uniform(170, 240) + rng.uniform(-0.03, 0.03) * columns + rng.uniform(-0.02, 0.02) * rows
    if rng.random() < 0.5:
        edge = columns * rng.uniform(-1, 1) + rng.uniform(0.2, 0.8) * HEIGHT
        light *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(((rows - edge) / rng.uniform(5, 60)).clip(-50, 50)))
    grey = light * (1 - page / 255 * rng.uniform(0.45, 0.85))
    grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.5, 1.4)) + rng.normal(0, rng.uniform(1, 5), grey.shape)
    _, coded = cv2.imencode(
        ".jpg", grey.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))]
    )
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


def measure_real(predictor: Predictor, folder: Path, sheets: Path | None) -> Score:
    """Return the score of a folder of PICTURES/several."""
    score = Score()
    for path, truth in real_pages(folder):
        page = predictor.page(path)
        found = digits_of(page)
        score = score.plus(truth, found)
        numbers = " ".join(number.text for number in page.numbers)
        print(f"  {path.name:24} {len(truth):4} digits, {edit_distance(truth, found)[0]:3} edits  {numbers[:60]}")
        if sheets:
            annotate(path, page, sheets / f"{folder.name}_{path.stem}.png")
    return score


def measure_composed(predictor: Predictor, path: Path, pages: int, sheets: Path | None) -> dict[str, Score]:
    """Return the scores of composed pages, of the writers used for tuning and of the others."""
    drawings = read_drawings(path)
    writers = sorted({drawing.writer for drawing in drawings})
    scores = {}
    groups = (("tuning", writers[:DEVELOPMENT_WRITERS]), ("others", writers[DEVELOPMENT_WRITERS:]))
    for name, some in groups:
        scores[name] = Score()
        for number in range(pages):
            rng = np.random.default_rng(number)
            writer = some[number % len(some)]
            grey, truth = compose([d for d in drawings if d.writer == writer], rng)
            page = predictor.page(grey)
            found = digits_of(page)
            scores[name] = scores[name].plus(truth, found)
            if sheets:
                annotate(grey, page, sheets / f"composed_{name}_{number:03}.png")
            print(f"  {name} page {number}: {len(truth)} digits, {edit_distance(truth, found)[0]} edits")
    return scores


def digits_of(page: Page) -> str:
    return "".join(str(digit.prediction.digit) for digit in page.digits)


def annotate(picture: Path | np.ndarray, page: Page, to: Path) -> None:
    """Save a picture with boxes and digits drawn over it, in red where they are not accepted."""
    from PIL import Image, ImageDraw, ImageOps

    image = ImageOps.exif_transpose(Image.open(picture)) if isinstance(picture, Path) else Image.fromarray(picture)
    image = image.convert("RGB")
    pencil = ImageDraw.Draw(image)
    for digit in page.digits:
        color = "#080" if digit.prediction.accepted else "#d00"
        pencil.rectangle(digit.box, outline=color)
        pencil.text((digit.box[0], digit.box[1] - 12), str(digit.prediction.digit), fill=color)
    to.parent.mkdir(parents=True, exist_ok=True)
    image.save(to)


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="default")
    parser.add_argument("--pages", type=int, default=20, help="composed pages of each group of writers")
    parser.add_argument("--sheets", type=Path, help="folder for the annotated pictures")
    parser.add_argument("--only", default="", help="one folder of PICTURES/several, or composed")
    options = parser.parse_args()
    predictor = load_predictor(options.run)
    several = Path(os.environ["PICTURES"]) / "several"
    folders = [path for path in sorted(several.iterdir()) if options.only in ("", path.name)]
    scores = {folder.name: measure_real(predictor, folder, options.sheets) for folder in folders if folder.is_dir()}
    if options.only in ("", "composed"):
        scores |= measure_composed(predictor, Path(os.environ["PEN_STROKES"]), options.pages, options.sheets)
    print(f"{'':12} digits  right    CER  false  most false on a page")
    for name, s in scores.items():
        print(
            f"{name:12} {s.digits:6} {s.right / s.digits:6.1%} {s.edits / s.digits:6.1%} {s.false:6} {s.most_false:6}"
        )


if __name__ == "__main__":
    main()
