"""The figures of a run's front page, in sections with a heading and an explanation (templates/sections.yaml)."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import yaml
from markupsafe import Markup

from mnistlib.reporting.pages import read_template
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import FIGURES
from mnistlib.runs.state import is_current

WIDE = 1050  # pixels of a PNG, shown at two thirds of them, from which on it takes a row of its own


@cache
def sections() -> list[dict[str, Any]]:
    """Return the sections that a whole run has, each with `id`, `title`, `text` and `figures`."""
    return list(yaml.safe_load(read_template("sections.yaml")))


def section_data(run: Run) -> list[dict[str, Any]]:
    """Return the sections with those figures that exist and are up to date; sections without figures are left out."""
    current = {name for stage, names in FIGURES.items() if is_current(run, stage) for name in names}
    found = []
    for section in sections():
        chosen = [f for f in section["figures"] if f["name"] in current and run.figure(f["name"]).is_file()]
        if chosen:
            figures = [figure_data(run, figure) for figure in chosen]
            found.append({**section, "text": Markup(section["text"]), "figures": figures})  # noqa: S704 - our own text
    return found


def figure_data(run: Run, figure: dict[str, str]) -> dict[str, Any]:
    """Return a figure's texts, its PNG in base64, and whether it is wide."""
    png = run.figure(figure["name"]).read_bytes()
    wide = int.from_bytes(png[16:20]) >= WIDE  # where a PNG's header says its width
    return {**figure, "png": base64.b64encode(png).decode(), "wide": wide}
