"""Stroke templates: what the files hold, which faults are refused, and that a change re-runs the training."""

import hashlib
import json
import tomllib
from fnmatch import fnmatch

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.data import pen_strokes
from mnistlib.runs import fingerprint

SEVEN = {"plain": [[[0, 2], [58, 0], [58, 0], [22, 100]]]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of templates in place of the package's own."""
    monkeypatch.setattr(pen_strokes, "FOLDER", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    pen_strokes.digit_templates.cache_clear()
    pen_strokes.letter_templates.cache_clear()


def write(path, content, monkeypatch, constant):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    monkeypatch.setattr(pen_strokes, constant, hashlib.sha256(path.read_bytes()).hexdigest())


def test_every_digit_has_variants_of_strokes_in_the_order_of_the_pen():
    templates = pen_strokes.digit_templates()
    assert list(templates) == list(range(10))
    bar = [(0, 2), (58, 0), (58, 0), (24, 100)], [(14, 52), (62, 50)]
    assert [stroke.tolist() for stroke in templates[7]["barred"]] == [[list(point) for point in s] for s in bar]
    strokes = [s for forms in (*templates.values(), pen_strokes.letter_templates()) for t in forms.values() for s in t]
    assert all(s.dtype == np.float64 and s.shape == (len(s), 2) and not s.flags.writeable for s in strokes)


@pytest.mark.parametrize(
    "form",
    [
        [],
        [[[0, 0]]],
        [[[0, 0], [1, 2, 3]]],
        [[[0, 0], [1, "2"]]],
        [[[0, 0], [1, True]]],
        [[[0, 0], [1, 1000]]],
        [[[0, 0], [1, None]]],
        "oval",
    ],
)
def test_a_form_that_is_no_template_is_named(folder, monkeypatch, form):
    write(folder / "letters.json", {"A": SEVEN["plain"], "B": form}, monkeypatch, "LETTERS_SHA256")
    with pytest.raises(RunError, match=r"letters\.json: 'B' is not a template"):
        pen_strokes.letter_templates()


@pytest.mark.parametrize("content", [{"7": SEVEN}, dict.fromkeys("0123456789", SEVEN["plain"]), [], "{", "NaN"])
def test_a_file_without_the_ten_digits_is_refused(folder, monkeypatch, content):
    write(folder / "digits.json", content, monkeypatch, "DIGITS_SHA256")
    with pytest.raises(RunError, match=r"digits\.json"):
        pen_strokes.digit_templates()


@pytest.mark.parametrize("name", ["digits", "letters"])
def test_a_changed_file_is_used_only_once_the_code_that_reads_it_changes_too(folder, name):
    path = folder / f"{name}.json"
    path.write_text((pen_strokes.HERE.parent / "strokes" / path.name).read_text().replace("100", "99", 1))
    with pytest.raises(RunError, match=rf"{name}\.json .*write its SHA-256 into mnistlib/data/pen_strokes\.py"):
        getattr(pen_strokes, f"{name[:-1]}_templates")()
    path.unlink()
    with pytest.raises(RunError, match=rf"{name}\.json cannot be used"):
        getattr(pen_strokes, f"{name[:-1]}_templates")()


@pytest.mark.parametrize(("stage", "reads"), [("03_train", True), ("06_infer", True), ("02_preprocess", False)])
def test_that_code_is_in_the_fingerprint_of_the_stages_that_draw_templates(stage, reads):
    modules = fingerprint.code_digests(ROOT / "notebooks" / f"{stage}.ipynb")
    assert ("mnistlib.data.pen_strokes" in modules) == reads


def test_the_files_are_installed_with_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["mnistlib"]
    files = [f"data/strokes/{path.name}" for path in pen_strokes.FOLDER.iterdir()]
    assert sorted(files) == ["data/strokes/digits.json", "data/strokes/letters.json"]
    assert all(any(fnmatch(file, pattern) for pattern in patterns) for file in files)
