"""Save a figure in the run and show it with a text alternative."""

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
    """A PNG with its alt text; an `<img>` element, because JupyterLab shows no alt text for a plain PNG."""

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
    """Write a figure to `reports/figures/<name>.png` and return it for display.

    Args:
        alt: text for readers who cannot see the figure.

    Raises:
        RunError: when the file cannot be written.
    """
    picture = picture_of(figure, alt)
    write_bytes(run.figure(name), picture.png)
    return picture


def picture_of(figure: Figure, alt: str) -> Picture:
    """Return a figure as a PNG of 256 colors, which takes a third of the bytes and looks the same.

    Args:
        alt: text for readers who cannot see the figure.
    """
    drawn, slim = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    few = Image.open(drawn).convert("RGB").quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if level >= NEARLY_WHITE else level for level in few.getpalette() or []])
    few.save(slim, "PNG", optimize=True)
    return Picture(slim.getvalue(), alt, int(figure.get_figwidth() * 96))
