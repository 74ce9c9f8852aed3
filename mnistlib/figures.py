"""Keep a figure in the run and show it, with words for those who cannot see it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from mnistlib.files import write_bytes
from mnistlib.rundir import Run

DPI = 144
COLOURS, NEARLY_WHITE = 256, 253


@dataclass(frozen=True)
class Picture:
    """A PNG with its text; Jupyter shows it at half its pixels, so that it is crisp."""

    png: bytes
    alt: str
    width: int

    @property
    def base64(self) -> str:
        return base64.b64encode(self.png).decode()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": self.base64, "text/plain": self.alt}
        return data, {"image/png": {"width": self.width, "alt": self.alt}}


def keep_figure(run: Run, name: str, figure: Figure, alt: str) -> Picture:
    """Write `reports/figures/<name>.png` and return the picture to be shown; `alt` says what it shows."""
    picture = picture_of(figure, alt)
    write_bytes(run.figure(name), picture.png)
    return picture


def picture_of(figure: Figure, alt: str) -> Picture:
    """A figure as a picture of 256 colours, the same to the eye in a third of the bytes; `alt` says what it shows."""
    drawn, slim = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    few = Image.open(drawn).convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if part >= NEARLY_WHITE else part for part in few.getpalette() or []])
    few.save(slim, "PNG", optimize=True)
    return Picture(slim.getvalue(), alt, int(figure.get_figwidth() * 96))
