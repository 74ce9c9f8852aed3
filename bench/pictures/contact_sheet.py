"""Contact sheets: pictures side by side with what the network saw and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

SIDE, GAP, TEXT, COLUMNS = 120, 6, 14, 6


def write_sheet(path: Path, wrong: Sequence[tuple[Path, str, str, Any]], most: int = 60) -> None:
    """Write a PNG with, for each: the picture, the network's input, and label → answer with its probability.

    Args:
        path: the sheet; its folder is made.
        wrong: picture file, label, answer and prediction.
        most: how many are shown.
    """
    shown = wrong[:most]
    width, height = 2 * SIDE + 3 * GAP, SIDE + TEXT + 2 * GAP
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(shown) // COLUMNS) * height), (90, 90, 120))
    pencil = ImageDraw.Draw(sheet)
    for i, (file, label, answer, prediction) in enumerate(shown):
        x, y = i % COLUMNS * width + GAP, i // COLUMNS * height + GAP
        with Image.open(file) as picture:
            sheet.paste(ImageOps.pad(picture.convert("RGB"), (SIDE, SIDE), color=(90, 90, 120)), (x, y))
        seen = Image.fromarray(prediction.image).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        sheet.paste(seen, (x + SIDE + GAP, y))
        text = f"{label or '-'} > {answer} {prediction.confidence:.2f} {'ACCEPTED' if prediction.accepted else ''}"
        pencil.text((x, y + SIDE), text, fill="yellow" if prediction.accepted else "white")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
