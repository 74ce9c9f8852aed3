"""Fingerprints follow what is imported, and nothing else."""

import json
import subprocess

import pytest

from mnistlib.core.errors import RunError
from mnistlib.runs import fingerprint, layout


def write_notebook(path, code, **extra):
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": [code], "outputs": [], "execution_count": None}
    path.write_text(json.dumps({"cells": [{**cell, **extra}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    forget()
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
    forget()


def forget():
    for cached in (
        fingerprint.module_digest,
        fingerprint.module_path,
        fingerprint.kept_digests,
        fingerprint.seen_digests,
    ):
        cached.cache_clear()


def digest(notebook):
    forget()
    return fingerprint.code_digests(notebook)


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
    first = fingerprint.cell_digests(write_notebook(tmp_path / "a.ipynb", "x = 1"))
    run = write_notebook(tmp_path / "b.ipynb", "x = 1", execution_count=3, outputs=[{"output_type": "stream"}], id="z")
    assert fingerprint.cell_digests(run) == first
    assert fingerprint.cell_digests(write_notebook(tmp_path / "c.ipynb", "x = 2")) != first
    tagged = write_notebook(tmp_path / "d.ipynb", "x = 1", metadata={"tags": ["setup"]})
    assert fingerprint.cell_digests(tagged) != first


def test_parameters_are_read_from_the_tagged_cell(tmp_path):
    cell = {"metadata": {"tags": ["parameters"]}}
    notebook = write_notebook(tmp_path / "a.ipynb", "x: int = 1  # one\ny: list = [1, 2]\n", **cell)
    assert fingerprint.parameter_values(notebook) == {"x": 1, "y": [1, 2]}
    with pytest.raises(RunError, match="0 cells"):
        fingerprint.parameter_names(write_notebook(tmp_path / "b.ipynb", "x: int = 1"))


def test_a_broken_notebook_is_named(tmp_path):
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(RunError, match=r"a\.ipynb"):
        fingerprint.cell_digests(tmp_path / "a.ipynb")


@pytest.mark.parametrize(
    "code",
    [
        "%matplotlib inline\nfrom mnistlib import a",
        "!ls\nfrom mnistlib import a",
        "files = !ls\nif files:\n    %time from mnistlib import a\nfrom mnistlib import a",
        "%%time\n\n%matplotlib inline\nfrom mnistlib import a",
        "from mnistlib import a\na?",
    ],
)
def test_magics_are_valid_in_a_cell_and_the_imports_beside_them_count(tree, tmp_path, code):
    assert digest(write_notebook(tmp_path / "n.ipynb", code)) == digest(
        write_notebook(tmp_path / "m.ipynb", "from mnistlib import a")
    )


def test_a_cell_in_another_language_imports_nothing(tree, tmp_path):
    shell, nothing = (write_notebook(tmp_path / f"{i}.ipynb", code) for i, code in enumerate(["%%bash\nls -l |", ""]))
    assert digest(shell) == digest(nothing)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\nfor x in", "n.ipynb, cell 1, line 2: invalid syntax, found 'for x in'"),
        ("\n\n%matplotlib inline\nx = (1", "n.ipynb, cell 1, line 4: '(' was never closed"),
        ("x = '\0'", "n.ipynb, cell 1: source code string cannot contain null bytes"),
        ("x = '\ud800'", "n.ipynb, cell 1: 'utf-8' codec"),
        ("from mnistlib import lonely", "lonely.py, line 2: invalid syntax, found 'Y ='"),
    ],
)
def test_a_slip_in_a_cell_or_module_is_named_with_its_line(tree, tmp_path, code, words):
    (tree / "lonely.py").write_text("X = 1\nY =\n")
    with pytest.raises(RunError, match="correct it and run make again") as caught:
        digest(write_notebook(tmp_path / "n.ipynb", code))
    assert words in str(caught.value)


def test_a_module_that_is_no_text_is_named(tree, tmp_path):
    (tree / "lonely.py").write_bytes(b"\xff")
    with pytest.raises(RunError, match=r"lonely\.py: 'utf-8' codec"):
        digest(write_notebook(tmp_path / "n.ipynb", "from mnistlib import lonely"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x: int = 1\ny: int = 6 * 2", r"a\.ipynb: parameter y is '6 \* 2'; a plain literal is expected"),
        ("x: dict = {[]: 1}", r"a\.ipynb: parameter x is"),
        ("x: int =", r"a\.ipynb, cell 1, line 1: invalid syntax"),
    ],
)
def test_a_parameter_that_is_no_literal_is_named(tmp_path, code, words):
    with pytest.raises(RunError, match=words):
        fingerprint.parameter_values(write_notebook(tmp_path / "a.ipynb", code, metadata={"tags": ["parameters"]}))


@pytest.mark.parametrize("stage", ["03_train", "05_features", "06_infer"])
def test_what_fetches_data_is_not_in_the_fingerprints_of_who_reads_it(stage, monkeypatch):
    seen, digest_of = set(), fingerprint.module_digest
    monkeypatch.setattr(fingerprint, "module_digest", lambda path: seen.add(path.name) or digest_of(path))
    fingerprint.code_digests(fingerprint.ROOT / "notebooks" / f"{stage}.ipynb")
    assert "preprocess.py" in seen
    assert not seen & {"download.py", "idx.py", "sklearn_digits.py", "validation.py"}


def commit(folder):
    """Make a repository of the folder, with one commit."""
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-mx"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)


@pytest.mark.parametrize("own", [True, False])
def test_a_commit_is_recorded_where_the_repository_is_the_projects_own(tmp_path, monkeypatch, own):
    archive = tmp_path / "downloaded" / "archive"
    archive.mkdir(parents=True)
    commit(tmp_path)
    if own:
        commit(archive)
    monkeypatch.setattr(fingerprint, "ROOT", archive)
    assert bool(fingerprint.code_version()) == own
