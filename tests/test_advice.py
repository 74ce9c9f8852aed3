"""What messages advise is a command that there is, and who follows it gets a whole run: the same model and data."""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import file_digest
from mnistlib.data.preprocess import load_split, load_statistics
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.evaluation.metrics import load_predictions
from mnistlib.inference.terminal_output import results_message
from mnistlib.reporting.notebook_html import read_notebook
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, make_command
from mnistlib.runs.receipt import load_receipt
from mnistlib.training.history import load_history
from tests.conftest import ROOT, Project

ADVICE = re.compile(r"\bmake ([a-z]+)((?: [A-Z]\w*=[^\s:;,)'\"]+)*)")
PROSE = {
    "again",
    "builds",
    "cannot",
    "ignores",
    "is",
    "keeps",
    "needs",
    "of",
    "pages",
    "runs",
    "stops",
    "that",
    "uses",
    "writes",
}
OF_A_RUN = {"data", "preprocess", "train", "evaluate", "features"}
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^## (\w+):", MAKEFILE, re.MULTILINE))
LISTS = re.findall(r"^override (?:SETTINGS|PASSED_ON) := (.*)$", MAKEFILE, re.MULTILINE)
VARIABLES = {name for names in LISTS for name in names.split()}


def words(node: ast.AST) -> str:
    """A text as it stands in the code, `…` for what is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(words(part) if isinstance(part, ast.Constant) else "…" for part in ast.iter_child_nodes(node))


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the package that is no docstring, with its place."""
    for path in sorted((ROOT / "mnistlib").rglob("*.py")):
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
            if text and id(node) not in parts | said:
                yield f"{path.name}:{node.lineno}", words(node)


def advised() -> list[tuple[str, str, list[str]]]:
    """Place, goal and variables of each command in a message, of the templates' too."""
    pages = [(path.name, path.read_text()) for path in (ROOT / "mnistlib" / "reporting" / "templates").rglob("*.j2")]
    found = [(place, *match.groups()) for place, text in [*messages(), *pages] for match in ADVICE.finditer(text)]
    return [(place, goal, re.findall(r"(\w+)=", given)) for place, goal, given in found]


def test_every_command_in_a_message_is_one_with_known_settings():
    found = advised()
    assert len(found) > 30
    for place, goal, names in found:
        assert goal in TARGETS | PROSE, f"{place}: make {goal}"
        assert set(names) <= VARIABLES, f"{place}: make {goal} with {names}"


FOLLOWED = {  # each command of a message, by goal and settings, and the test that types it
    "all": "test_a_name_that_no_run_has_can_be_made_or_another_taken",
    "all RUN": "test_one_make_mends_what_it_is_said_to_mend",
    "all RUN PARAMS": "test_a_run_made_by_hand_is_not_taken_for_one_of_makes_nor_trained_over_unasked",
    "preprocess RUN": "test_who_follows_advice_has_the_same_model_and_a_whole_run",
    "train RUN": "test_who_follows_advice_has_the_same_model_and_a_whole_run",
    "evaluate RUN": "test_runs_can_be_compared_once_one_is_evaluated_again",
    "infer": "test_make_teach_makes_a_run_of_its_own_that_infers_and_nothing_else",
    "infer RUN": "test_who_follows_advice_has_the_same_model_and_a_whole_run",
    "infer RUN INPUT": "test_a_name_that_no_run_has_can_be_made_or_another_taken",
    "compare A B": "test_runs_can_be_compared_once_one_is_evaluated_again",
    "clean RUN": "test_what_verify_leaves_can_be_cleaned_away",
    "clean": "test_what_cannot_be_deleted_is_said_and_the_rest_goes",
    "verify RUN": "test_a_receipt_whose_dataset_is_gone_says_how_to_name_it",
    "teach": "test_who_teaches_anew_as_told_has_a_run_that_answers",
    "teach RUN": "test_who_teaches_anew_as_told_has_a_run_that_answers",
    "export": "test_the_file_alone_gives_the_logits_of_the_network_before_fusion",
    "lab": "test_it_serves_the_notebooks_on_loopback_until_it_is_stopped",
    "env": "test_a_removed_package_is_put_back_and_nothing_else_touched",
}


def test_every_command_in_a_message_is_typed_by_a_test():
    found = {" ".join([goal, *names]) for _, goal, names in advised() if goal in TARGETS}
    assert found <= FOLLOWED.keys(), found - FOLLOWED.keys()
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    there = {name for text in texts for name in re.findall(r"def (test_\w+)", text)}
    assert there >= set(FOLLOWED.values()), set(FOLLOWED.values()) - there


def test_a_command_that_works_on_a_run_names_it():
    assert not [(place, goal) for place, goal, names in advised() if goal in OF_A_RUN and "RUN" not in names]


class Damage(NamedTuple):
    """A file of a finished run, what is written into it, who finds that, and the stages that its mending runs."""

    path: str
    content: bytes
    find: Callable[[Run], Any]
    stages: tuple[str, ...]
    slow: bool = False


def notebook_05(run: Run) -> Any:
    return read_notebook(run.notebook("05_features"))


DAMAGES = [
    Damage("models/calibration.json", b"{}", load_calibration, ("04_evaluate",)),
    Damage("reports/test_predictions.npz", b"PK", load_predictions, ("04_evaluate",), True),
    Damage("metrics/04_evaluate.json", b"{}", lambda run: run.read_metrics("04_evaluate"), ("04_evaluate",), True),
    Damage("models/history.json", b"{}", load_history, ("03_train",), True),
    Damage("data/processed/statistics.json", b"{}", load_statistics, ("02_preprocess",), True),
    Damage("data/processed/test_images.npy", b"?", lambda run: load_split(run, "test"), ("02_preprocess",), True),
    Damage("notebooks/05_features.ipynb", b"{", notebook_05, ("05_features",), True),
    Damage("data/inference/predictions.csv", b"?", results_message, ("06_infer",), True),
    Damage("receipt.json", b'{"format": 3}', load_receipt, ()),
]


def advice_for(damage: Damage) -> tuple[str, list[str]]:
    """What is said of a damaged file, and the command in it; `make` alone where it says no more."""
    with pytest.raises(RunError) as refused:
        damage.find(Run("smoke"))
    said = str(refused.value)
    commands = [match for match in ADVICE.finditer(said) if match[1] in TARGETS]
    return said, [commands[0][1], *commands[0][2].split()] if commands else ["all", "RUN=smoke"]


@pytest.fixture
def damaged(made: Project, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Project:
    """A finished run, one file of which is damaged."""
    monkeypatch.setattr(layout, "RUNS", made.folder / "runs")
    (made.run() / request.param.path).write_bytes(request.param.content)
    return made


def follow(made: Project, damage: Damage) -> list[str]:
    """Do what is said before the command; returns the command."""
    said, command = advice_for(damage)
    if "delete it, and" in said:
        (made.run() / damage.path).unlink()
    return command


names = [damage.path for damage in DAMAGES]


@pytest.mark.parametrize(
    ("damaged", "damage"), [(damage, damage) for damage in DAMAGES], indirect=["damaged"], ids=names
)
def test_advice_would_run_just_what_mends_it(damaged, damage):
    planned = damaged.plan(*follow(damaged, damage))
    assert tuple(planned.certain) == damage.stages, planned.text
    assert damage.stages or "to render" in planned.text


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [pytest.param(d, d, marks=[pytest.mark.slow] if d.slow else [], id=d.path) for d in DAMAGES],
    indirect=["damaged"],
)
def test_who_follows_advice_has_the_same_model_and_a_whole_run(damaged, damage, smoke):
    done = damaged.make(*follow(damaged, damage))
    assert done.code == 0, done.text
    left = damaged.make("all", "RUN=smoke")
    assert (left.code, damaged.make("status", "RUN=smoke").text.count("up to date")) == (0, 6), left.text
    before, after = (Run("smoke", project.folder / "runs") for project in (smoke, damaged))
    assert file_digest(after.weights) == file_digest(before.weights)
    assert load_calibration(after) == load_calibration(before)
    assert after.raw_json.read_bytes() == before.raw_json.read_bytes()
    assert damaged.lasting_metrics() == smoke.lasting_metrics()


def test_advice_for_a_run_of_another_project_says_so(tmp_path):
    assert make_command(Run("a"), "evaluate") == "make evaluate RUN=a"
    assert make_command(Run("a", tmp_path), "evaluate") == "make evaluate RUN=a in the project that it is of"
