"""`python -m bench.pictures.other_readers`: RapidOCR (PP-OCRv4) and Tesseract on the real pictures, where installed.

They are what a user would take instead. Neither belongs to the project's environment; any other with
`rapidocr-onnxruntime`, or with the program `tesseract`, runs this module, because it imports nothing of the project's.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

Reader = Callable[[Path, bool], str]  # a picture, and whether it holds one digit alone → the text
Labeled = list[tuple[Path, str]]
SMALL = 64  # pixels


def readers() -> dict[str, Reader]:
    """Return the readers that are installed, by name."""
    found: dict[str, Reader] = {}
    if importlib.util.find_spec("rapidocr_onnxruntime"):
        found["PP-OCRv4"] = rapid_ocr()
    if shutil.which("tesseract"):
        found["Tesseract"] = tesseract
    return found


def rapid_ocr() -> Reader:
    """Return PP-OCRv4, as it reads most: small pictures enlarged, a single digit first by the recognizer alone."""
    import cv2
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()

    def read(path: Path, single: bool) -> str:
        picture = cv2.imread(str(path))
        if max(picture.shape) < SMALL:
            picture = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        alone = engine(picture, use_det=False, use_cls=False)[0] if single else None
        text = " ".join(line[0] for line in alone or [])
        return text if digits(text) else " ".join(line[1] for line in engine(picture)[0] or [])

    return read


def tesseract(path: Path, single: bool) -> str:
    """Read with Tesseract, digits alone allowed: a single character, or a block of text."""
    mode = ["--psm", "10" if single else "6", "-c", "tessedit_char_whitelist=0123456789"]
    done = subprocess.run(["tesseract", str(path), "-", *mode], capture_output=True, text=True, check=False)
    return done.stdout


def digits(text: str) -> str:
    """Return the digits of a text alone, in its order."""
    return re.sub(r"\D", "", text)


def character_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Return the edit distance between label and answer, summed, per character of the labels."""
    return sum(edit_distance(label, text) for label, text in pairs) / sum(len(label) for label, _ in pairs)


def edit_distance(left: str, right: str) -> int:
    """Return how many insertions, deletions and replacements turn one text into the other."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row = row, [i]
        for j, b in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def labeled_pages(folder: Path) -> Labeled:
    """Return the pictures of a folder of `several/`, each with its digits in reading order, by labels.csv."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as table:
        return [(folder / row["file"], digits(row["text"])) for row in csv.DictReader(table)]


def labeled_singles(folder: Path) -> Labeled:
    return [(path, path.parent.name) for path in sorted(folder.rglob("*")) if path.is_file()]


def compare(pictures: Path) -> list[dict[str, object]]:
    """Return a row per reader and folder: the share right of single digits, the character error rate of several."""
    rows: list[dict[str, object]] = []
    for name, read in readers().items():
        for folder in sorted((pictures / "single").iterdir()):
            pairs = [(label, digits(read(path, True))) for path, label in labeled_singles(folder)]
            right = sum(label == text for label, text in pairs) / len(pairs)
            rows.append(row(name, f"single/{folder.name}", len(pairs), "right", right))
        for folder in sorted((pictures / "several").iterdir()):
            pairs = [(label, digits(read(path, False))) for path, label in labeled_pages(folder)]
            rows.append(
                row(name, f"several/{folder.name}", len(pairs), "character errors", character_error_rate(pairs))
            )
    return rows


def row(reader: str, folder: str, n: int, measure: str, value: float) -> dict[str, object]:
    return {"reader": reader, "folder": folder, "n": n, "measure": measure, "value": value}


if __name__ == "__main__":
    for line in compare(Path(os.environ["PICTURES"])):
        print("{reader:10} {folder:16} n {n:3}  {measure} {value:.3f}".format_map(line))
