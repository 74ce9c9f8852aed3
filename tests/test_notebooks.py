"""The notebooks as text: their order, their tags, their cells, their parameters."""

import ast
import json
import re

import nbformat
import pytest

from mnistlib.core import config
from mnistlib.core.config_schema import Params
from mnistlib.runs import fingerprint
from mnistlib.runs.stages import STAGES

TAGS = {"parameters", "setup", "hide-input", "interactive"}
NAMES = [stage.name for stage in STAGES]


@pytest.fixture(params=STAGES, ids=NAMES)
def stage(request):
    return request.param


def cells(stage):
    return fingerprint.read_cells(stage.notebook)


def test_there_are_just_these_notebooks():
    assert sorted(f.stem for f in STAGES[0].notebook.parent.glob("*.ipynb")) == NAMES


def test_it_is_a_valid_notebook(stage):
    nbformat.validate(nbformat.read(stage.notebook, as_version=4))


def test_it_opens_with_title_table_parameters_imports(stage):
    opening = cells(stage)[:3]
    assert [c["cell_type"] for c in opening] == ["markdown", "code", "code"]
    assert opening[0]["source"].startswith(f"# {int(stage.name[:2])} · ")
    assert "| reads | writes |" in opening[0]["source"]
    assert [c["metadata"].get("tags") for c in opening[1:]] == [["parameters"], ["setup"]]


def test_it_ends_with_its_metrics_and_a_link(stage):
    last = cells(stage)[-2:]
    assert f'write_metrics("{stage.name}"' in last[0]["source"]
    following = NAMES[(NAMES.index(stage.name) + 1) % len(NAMES)]
    assert f"({following}.ipynb)" in last[1]["source"]


def test_it_is_stripped(stage):
    content = json.loads(stage.notebook.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in content["metadata"]


def test_cells_are_short_and_tags_are_known(stage):
    for cell in cells(stage):
        assert set(cell["metadata"].get("tags", [])) <= TAGS
        lines = [line for line in cell["source"].splitlines() if line.strip() and not re.match(r"from |import ", line)]
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", []):
            assert len(lines) <= 15, cell["source"]


def test_it_tells_and_does_not_do(stage):
    for code in fingerprint.code_of(stage.notebook).values():
        kinds = {type(node) for node in ast.walk(ast.parse(code))}
        assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try}, code
        assert not re.search(r"^\s*[!%]|chdir", code, re.MULTILINE), code
        texts = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and "/" in text], code


def test_every_figure_has_its_sentence(stage):
    told = cells(stage)
    for place, cell in enumerate(told):
        if "keep_figure(" in cell["source"]:
            near = told[max(0, place - 2) : place] + told[place + 1 : place + 2]
            assert any(c["cell_type"] == "markdown" and len(c["source"]) > 40 for c in near)


def test_parameters_are_those_of_the_default_profile(stage):
    expected = config.notebook_parameters(config.load(), stage.section, "lab")
    assert fingerprint.parameter_values(stage.notebook) == expected
    assert list(fingerprint.parameter_values(stage.notebook)) == list(expected)


def test_parameters_are_typed_commented_literals(stage):
    (text,) = [c["source"] for c in cells(stage) if "parameters" in c["metadata"].get("tags", [])]
    for line in text.splitlines():
        assert re.fullmatch(r"\w+: (str|int|float|list) = [^=]+  # [^=]+", line), line


def test_papermill_reads_every_parameter(stage):
    import papermill

    assert set(papermill.inspect_notebook(str(stage.notebook))) == fingerprint.parameter_names(stage.notebook)


def test_every_section_is_some_notebooks_or_the_runners():
    assert {s.section for s in STAGES} | {"seed", "execute"} == set(Params.model_fields)
