"""The notebooks as text: their order, their tags, their cells, their parameters."""

import ast
import json
import re

import nbformat
import pytest

from mnistlib.core import config
from mnistlib.core.config_schema import Params
from mnistlib.core.files import ROOT
from mnistlib.runs import fingerprint
from mnistlib.runs.stages import STAGES

TAGS = {"parameters", "setup", "show-input", "interactive"}
LONGEST = 25  # words of a sentence
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
    for code in (c["source"] for c in fingerprint.read_cells(stage.notebook) if c["cell_type"] == "code"):
        kinds = {type(node) for node in ast.walk(ast.parse(code))}
        assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try}, code
        assert not re.search(r"^\s*[!%]|chdir", code, re.MULTILINE), code
        texts = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and "/" in text], code


def test_every_figure_has_its_numbered_caption_below_it(stage):
    following = [cells(stage)[place + 1] for place, c in enumerate(cells(stage)) if "keep_figure(" in c["source"]]
    captions = [re.match(r"\*\*Figure (\d+)\.\*\* (.+)", cell["source"]) for cell in following]
    assert [int(caption[1]) for caption in captions] == list(range(1, len(captions) + 1))
    assert all(len(caption[2]) > 60 for caption in captions)


def test_it_names_two_or_three_goals_and_ends_with_two_exercises(stage):
    goals, exercises = cells(stage)[0]["source"].partition("You will learn")[2], cells(stage)[-1]["source"]
    assert len(re.findall(r"^- ", goals, re.MULTILINE)) in (2, 3)
    assert re.findall(r"^(?:## Exercises|\d\.)", exercises, re.MULTILINE) == ["## Exercises", "1.", "2."]
    assert exercises.count("?") >= 2


def test_no_sentence_is_longer_than_25_words(stage):
    for cell in cells(stage):
        if cell["cell_type"] == "markdown":
            for sentence in sentences(cell["source"]):
                assert len(sentence.split()) <= LONGEST, sentence


def sentences(markdown):
    """A cell's sentences and list entries, without formulas, link addresses and tables."""
    text = re.sub(r"\$\$.*?\$\$|^\|.*?\|$|\]\([^)]*\)", " ", markdown, flags=re.DOTALL | re.MULTILINE)
    return re.split(r"(?<=[.?])\s+|\n\s*(?:\n|-|\d\.)", text)


def test_parameters_are_those_of_the_default_profile(stage):
    expected = config.notebook_parameters(config.load(), stage.section, "lab")
    assert fingerprint.parameter_values(stage.notebook) == expected
    assert list(fingerprint.parameter_values(stage.notebook)) == list(expected)


def test_parameters_are_typed_commented_literals(stage):
    (text,) = [c["source"] for c in cells(stage) if "parameters" in c["metadata"].get("tags", [])]
    for line in text.splitlines():
        assert re.fullmatch(r"\w+: (str|int|float|list) = [^=]+  # [^=]+", line), line


def test_parameters_are_explained_in_the_same_words_as_in_the_default_profile(stage):
    profile = (ROOT / "params" / "default.yaml").read_text()
    (text,) = [c["source"] for c in cells(stage) if "parameters" in c["metadata"].get("tags", [])]
    for line in text.splitlines()[1:]:  # `run` is the runner's
        name, comment = re.match(r"(\w+):.*?  (# .*)", line).groups()
        assert re.search(rf"^ *{name}: .* {re.escape(comment)}$", profile, re.MULTILINE), line


def test_papermill_reads_every_parameter(stage):
    import papermill

    assert set(papermill.inspect_notebook(str(stage.notebook))) == fingerprint.parameter_names(stage.notebook)


def test_every_section_is_some_notebooks_or_the_runners():
    assert {s.section for s in STAGES} | {"seed", "execute"} == set(Params.model_fields)
