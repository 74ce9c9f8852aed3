"""Fingerprints follow what is imported, and nothing else."""

import json

import pytest

from mnistlib import source
from mnistlib.files import RunError


def write_notebook(path, code, **extra):
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": [code], "outputs": [], "execution_count": None}
    path.write_text(json.dumps({"cells": [{**cell, **extra}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "ROOT", tmp_path)
    source.module_digest.cache_clear()
    package = tmp_path / "mnistlib"
    (package / "plots").mkdir(parents=True)
    modules = {
        "__init__": "",
        "plots/__init__": "",
        "a": "from mnistlib.b import f\n",
        "b": "def f():\n    import mnistlib.c\n",
        "c": "X = 1\n",
        "lonely": "Y = 1\n",
        "plots/p": "from mnistlib import c\n",
    }
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    yield package
    source.module_digest.cache_clear()


def digest(notebook):
    source.module_digest.cache_clear()
    return source.code_digest(notebook)


@pytest.mark.parametrize(
    ("module", "counts"), [("a", True), ("b", True), ("c", True), ("__init__", True), ("lonely", False)]
)
def test_a_change_counts_when_the_module_is_imported_even_late(tree, tmp_path, module, counts):
    notebook = write_notebook(tmp_path / "n.ipynb", "from mnistlib import a")
    before = digest(notebook)
    path = tree / f"{module}.py"
    path.write_text(path.read_text() + "Z = 2\n")
    assert (digest(notebook) != before) == counts


def test_packages_above_a_module_count(tree, tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "from mnistlib.plots.p import x")
    before = digest(notebook)
    (tree / "plots" / "__init__.py").write_text("W = 1\n")
    assert digest(notebook) != before


def test_comments_do_not_count(tree, tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "from mnistlib import a")
    before = digest(notebook)
    (tree / "c.py").write_text("# why\n\nX = 1  # one\n")
    assert digest(notebook) == before


def test_outputs_and_counts_of_a_notebook_do_not_count(tmp_path):
    first = source.notebook_digest(write_notebook(tmp_path / "a.ipynb", "x = 1"))
    run = write_notebook(tmp_path / "b.ipynb", "x = 1", execution_count=3, outputs=[{"output_type": "stream"}], id="z")
    assert source.notebook_digest(run) == first
    assert source.notebook_digest(write_notebook(tmp_path / "c.ipynb", "x = 2")) != first
    tagged = write_notebook(tmp_path / "d.ipynb", "x = 1", metadata={"tags": ["setup"]})
    assert source.notebook_digest(tagged) != first


def test_parameters_are_read_from_the_tagged_cell(tmp_path):
    cell = {"metadata": {"tags": ["parameters"]}}
    notebook = write_notebook(tmp_path / "a.ipynb", "x: int = 1  # one\ny: list = [1, 2]\n", **cell)
    assert source.parameter_values(notebook) == {"x": 1, "y": [1, 2]}
    with pytest.raises(RunError, match="0 cells"):
        source.parameter_names(write_notebook(tmp_path / "b.ipynb", "x: int = 1"))


def test_a_broken_notebook_is_named(tmp_path):
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(RunError, match=r"a\.ipynb"):
        source.notebook_digest(tmp_path / "a.ipynb")
