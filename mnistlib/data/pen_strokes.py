"""Pen-stroke templates of digits and letters, drawn by hand for this project; package data, checked on load.

`strokes/digits.json` holds the national and personal variants of the ten digits: slashed zeros, ones with a flag and a
foot, sevens with a bar, nines like a g, fours of one stroke. `strokes/letters.json` holds letters as outliers: those
that look like a digit are left out, and those whose capital and small form differ in size alone occur once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest, read_regular, shown
from mnistlib.core.json_checks import between, list_of, parse_json

HERE = Path(__file__)
FOLDER = HERE.with_name("strokes")
# A stage re-runs when the code that it imports changes. These digests make a changed file a change of this code.
DIGITS_SHA256 = "a97305774a891179b532260d9846988b26ce9c589172947d73d4fc98c1f9a8cb"
LETTERS_SHA256 = "df8206afa8605138e1386367172600180c502c3ab9543d8d62591b82460562f2"
LARGEST = 1_000_000  # bytes of a file

Template = tuple[np.ndarray, ...]
is_point = list_of(between(-20, 120), most=2, least=2)
is_template = list_of(list_of(is_point, most=20, least=2), most=4, least=1)


@cache
def digit_templates() -> dict[int, dict[str, Template]]:
    """Load the variants of the ten digits.

    Returns:
        For each digit, its variants by name. A template is a tuple of strokes in the pen's order: read-only float64
        N×2 arrays of (x, y), y down, in a box of about 60 × 100. A point that occurs twice is a corner; elsewhere
        the pen runs smoothly through the points.

    Raises:
        RunError: the file is missing, changed or invalid.
    """
    path = FOLDER / "digits.json"
    content = read_templates(path, DIGITS_SHA256)
    if list(content) != list("0123456789") or not all(isinstance(forms, dict) for forms in content.values()):
        raise RunError(f"{shown(path)}: expected the variants of the digits 0 to 9 by name")
    return {int(digit): to_arrays(forms, path) for digit, forms in content.items()}


@cache
def letter_templates() -> dict[str, Template]:
    """Load the letters by name, as templates like those of `digit_templates`. Raises RunError."""
    path = FOLDER / "letters.json"
    return to_arrays(read_templates(path, LETTERS_SHA256), path)


def read_templates(path: Path, expected: str) -> dict[str, Any]:
    """Return the mapping in a file of templates. Raises RunError when its SHA-256 is not the expected one."""
    try:
        content = read_regular(path, LARGEST)
        found = bytes_digest(content)
        if found != expected:
            advice = f"if you changed the file, write its SHA-256 into {shown(HERE)}; else restore it"
            raise ValueError(f"SHA-256 {found}, expected {expected}; {advice}")
        templates = parse_json(content)
    except (OSError, ValueError) as error:
        raise RunError(f"{shown(path)} cannot be used: {error}") from error
    if not isinstance(templates, dict):
        raise RunError(f"{shown(path)}: expected a mapping of names, found {type(templates).__name__}")
    return templates


def to_arrays(forms: dict[str, Any], path: Path) -> dict[str, Template]:
    """Return each form's strokes as read-only arrays. Raises RunError that names a form that is no template."""
    for name, form in forms.items():
        if not is_template(form):
            limits = "1 to 4 strokes of 2 to 20 points, each two numbers from -20 to 120"
            raise RunError(f"{shown(path)}: {name!r} is not a template ({limits})")
    templates = {name: tuple(np.array(stroke, float) for stroke in form) for name, form in forms.items()}
    for stroke in (stroke for template in templates.values() for stroke in template):
        stroke.flags.writeable = False
    return templates
