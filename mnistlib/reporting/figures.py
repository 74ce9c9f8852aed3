"""Keep a figure in the run and show it, with words for those who cannot see it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure
from PIL import Image

from mnistlib.core.files import write_bytes
from mnistlib.runs.layout import Run

DPI = 144
COLORS, NEARLY_WHITE = 256, 253
DARK = (
    '<style>[data-jp-theme-light="false"] img.figure '
    "{ filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }</style>"
)


@dataclass(frozen=True)
class Picture:
    """A PNG with its text, shown at half its pixels, so that it is crisp.

    As HTML, for JupyterLab tells nobody the text of a plain PNG, and leaves it white in its dark theme.
    """

    png: bytes
    alt: str
    width: int

    @property
    def base64(self) -> str:
        return base64.b64encode(self.png).decode()

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        source = f"data:image/png;base64,{self.base64}"
        return f'{DARK}<img class="figure" src="{source}" width="{self.width}" alt="{escape(self.alt)}">'


def keep_figure(run: Run, name: str, figure: Figure, alt: str) -> Picture:
    """Write `reports/figures/<name>.png` and return the picture to be shown; `alt` says what it shows."""
    picture = picture_of(figure, alt)
    write_bytes(run.figure(name), picture.png)
    return picture


def picture_of(figure: Figure, alt: str) -> Picture:
    """A figure as a picture of 256 colors, the same to the eye in a third of the bytes; `alt` says what it shows."""
    drawn, slim = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    few = Image.open(drawn).convert("RGB").quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if part >= NEARLY_WHITE else part for part in few.getpalette() or []])
    few.save(slim, "PNG", optimize=True)
    return Picture(slim.getvalue(), alt, int(figure.get_figwidth() * 96))
