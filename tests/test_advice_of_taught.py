"""What is advised for a fine-tuned run can be done with one: it is taught anew, and no stage but 06 is asked of it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.data.preprocess import load_split, load_statistics
from mnistlib.data.synthetic import examples
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.inference import terminal_output
from mnistlib.inference.drawings import Drawing
from mnistlib.inference.predictor import quick_predictor, usable_run
from mnistlib.pipeline.fine_tune_run import check_can_fine_tune
from mnistlib.reporting import runs_table
from mnistlib.reporting.runs_table import FINE_TUNED_METRICS
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import load_model
from tests.conftest import Project
from tests.typed import commands, filled, refusal, well


@pytest.fixture(scope="module")
def copy(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished smoke project, and a run that says that it learnt from smoke."""
    project = smoke.copy(tmp_path_factory.mktemp("taught") / "my project")
    shutil.copytree(project.run(), project.run("smoke-taught"))
    run = Run("smoke-taught", project.folder / "runs")
    described = json.loads(run.model_json.read_text())
    described["training"] |= {"fine_tuned_from": "smoke", "drawings_learned": 9}
    run.model_json.write_text(json.dumps(described))
    run.teach_json.write_text(json.dumps(dict.fromkeys(FINE_TUNED_METRICS, 1.0) | {"fine_tuned_from": "smoke"}))
    return project


@pytest.fixture
def here(copy: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(layout, "RUNS", copy.folder / "runs")
    return copy


def lesson(run: Run) -> Any:
    """What the page of all runs says of the lesson."""
    if unread := runs_table.read_fine_tuned(run)["unread"]:
        raise RunError(unread)


def no_numbers(run: Run) -> Any:
    """An answer of a network that gives no numbers."""
    found = quick_predictor(run.folder)
    weights = found.network.weights | {"head.1.bias": np.full(10, np.nan, np.float32)}
    return replace(found, network=replace(found.network, weights=weights)).images(np.zeros((1, 28, 28), np.uint8))


DAMAGES: list[tuple[str, bytes | None, Callable[[Run], Any]]] = [
    ("models/pytorch_mnist_model.pth", b"?", load_model),
    ("models/pytorch_mnist_model.pth", None, load_model),
    ("models/model.json", b"{}", load_model),
    ("models/model.json", None, lambda run: terminal_output.trained_run(run.name)),
    ("models/calibration.json", b"{}", load_calibration),
    ("models/calibration.json", None, load_calibration),
    ("models/calibration.json", None, lambda run: usable_run(run.name)),
    ("reports/teach.json", b"{}", lesson),
    ("data/processed/statistics.json", b"{}", load_statistics),
    ("data/processed/test_images.npy", b"?", lambda run: load_split(run, "test")),
    ("data/processed/test_images.npy", None, lambda run: load_split(run, "test")),
    ("run.log", None, no_numbers),
]


@pytest.mark.parametrize(("name", "content", "find"), DAMAGES)
def test_of_a_damaged_fine_tuned_run_it_is_said_to_teach_anew(here, name, content, find):
    path = here.run("smoke-taught") / name
    sound = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        said = refusal(lambda: find(Run("smoke-taught")))
    finally:
        path.write_bytes(sound)
    assert [command[0] for command in commands(said)] == ["teach"], said
    assert "0" not in said.rpartition(": ")[2], said  # no stage by its number


def drawing(place: int) -> Drawing:
    """A digit of the copybook, somewhere else each time."""
    which, label = place % 3, (1, 7, 9)[place % 3]
    strokes = [(stroke + place).tolist() for stroke in examples()[which]]
    return Drawing(strokes, 0, [0.1] * 10, True, "abc", label, f"2026-01-{place + 1:02d}")


def test_a_model_that_has_no_digits_is_not_taught_and_another_is(here):
    run, drawings = Run("smoke"), [drawing(place) for place in range(12)]
    sound = run.model_json.read_text()
    run.model_json.write_text(sound.replace('"dataset": "digits"', '"dataset": "fashion_mnist"'))
    said = refusal(lambda: check_can_fine_tune(run, drawings))
    run.model_json.write_text(sound)
    (command,) = commands(said)
    assert command == ["teach", "RUN=…"]
    check_can_fine_tune(run, drawings)
    assert commands(refusal(lambda: check_can_fine_tune(run, drawings[:9]))) == [["lab"]]


@pytest.mark.slow
def test_who_teaches_anew_as_told_has_a_run_that_answers(here):
    handwriting = here.folder / "runs" / "handwriting"
    handwriting.mkdir()
    for mine in map(drawing, range(12)):
        (handwriting / f"{mine.name}.json").write_text(json.dumps(vars(mine)))
    weights = here.run("smoke-taught") / "models" / "pytorch_mnist_model.pth"
    sound = weights.read_bytes()
    weights.write_bytes(b"?")
    (command,) = commands(refusal(lambda: quick_predictor("smoke-taught")))
    weights.write_bytes(sound)
    assert command == ["teach", "RUN=smoke"]
    (next_command,) = commands(well(here.make(*command)).text)
    assert next_command == ["infer", "RUN=smoke-taught-2", "INPUT=…"]
    picture = next((here.run() / "data" / "inference" / "examples").glob("*.png"))
    assert here.plan(*filled(next_command, INPUT=str(picture))).planned == ["06_infer"]
    assert quick_predictor("smoke-taught-2").files([picture])[0].image.any()
    refused = here.make("all", "RUN=smoke-taught-2").text
    assert commands(refused.replace("'", " "))[-1] == ["infer"]
