"""What still stands of a run, and what is told of a stage whose inputs have changed since it ran."""

import json
import os
import re

import pytest

from mnistlib.core.config import dump_yaml
from mnistlib.core.config import load as load_params
from mnistlib.core.files import write_text
from mnistlib.pipeline.plan import changed_cells
from mnistlib.reporting.front_page import write_index
from mnistlib.reporting.sections import section_data, sections
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, runs_table_page
from mnistlib.runs.stages import REQUIRED_METRICS, STAGES, required_outputs
from mnistlib.runs.state import current_records, merged_metrics, parameters_used
from tests.records import keep_record

NAMES = [stage.name for stage in STAGES]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose six stages ended well, with all that they leave."""
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    run, asked = Run("r"), load_params("default")
    write_text(run.params(), dump_yaml(asked.model_dump()))
    for stage in STAGES:
        leave(run, stage.name)
        parameters = {**getattr(asked, stage.section).model_dump(), "seed": asked.seed}
        keep_record(run, stage.name, parameters=parameters)
    return run


def leave(run, name):
    """Write all that a stage leaves; its metrics as a notebook does, with what it read."""
    for path in (run.folder / each for each in required_outputs(name) if not each.startswith("metrics/")):
        write_text(path, "{}" if path.suffix == ".json" else name)
    more = {"train_device": "cpu"} if name == "03_train" else {}
    run.write_metrics(name, {name: 1} | dict.fromkeys(REQUIRED_METRICS.get(name, ()), 1) | more)


def stale(run):
    return [name for name, record in current_records(run).items() if record.verdict == "stale"]


def test_a_whole_run_is_not_stale(run):
    assert stale(run) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("data/processed/statistics.json", NAMES[2:]),
        ("models/pytorch_mnist_model.pth", NAMES[3:]),
        ("models/calibration.json", ["06_infer"]),
        ("data/inference/predictions.csv", []),
    ],
)
def test_what_reads_from_something_else_by_now_is_stale_and_what_follows_from_it(run, changed, expected):
    write_text(run.folder / changed, "another")
    write_text(run.metrics("01_data"), run.metrics("01_data").read_text())
    assert stale(run) == expected


@pytest.mark.parametrize(("asked", "expected"), [("train.epochs=3", NAMES[2:]), ("features.neighbours=5", NAMES[4:5])])
def test_what_was_made_with_other_parameters_than_were_asked_for_is_stale_and_tells_its_own(run, asked, expected):
    name = asked.partition("=")[0]
    before = parameters_used(run)[name]
    write_text(run.params(), dump_yaml(load_params("default", asked).model_dump()))
    assert stale(run) == expected
    assert parameters_used(run)[name] == before != int(asked.partition("=")[2])


@pytest.mark.parametrize("when", [1, 2e9])
def test_no_time_of_a_file_makes_anything_stale(run, when):
    for path in run.folder.rglob("*.*"):
        os.utime(path, (when, when))
    assert stale(run) == []


def test_figures_of_a_model_that_is_no_longer_there_are_not_told(run):
    assert set(NAMES) <= merged_metrics(run).keys()
    assert "read" not in merged_metrics(run)
    assert len(section_data(run)) == len(sections())
    write_text(run.weights, "another")
    keep_record(run, "03_train", parameters={**load_params("default").train.model_dump(), "seed": 0})
    assert set(NAMES) & merged_metrics(run).keys() == set(NAMES[:3])
    assert "test_accuracy" not in merged_metrics(run)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A run made by hand: what its six stages left, and nothing that make keeps."""
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    for name in NAMES:
        leave(Run("lab"), name)
    return Run("lab")


def told(run):
    return [name for name in NAMES if name in merged_metrics(run)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("data/raw.json", NAMES[:1]),
        ("data/processed/statistics.json", NAMES[:2]),
        ("models/pytorch_mnist_model.pth", NAMES[:3]),
        ("models/calibration.json", NAMES[:5]),
        ("data/inference/predictions.csv", NAMES),
    ],
)
def test_of_what_was_made_by_hand_nothing_is_told_whose_inputs_are_others_by_now(lab, changed, expected):
    assert told(lab) == NAMES
    write_text(lab.folder / changed, "another")
    write_text(lab.metrics("01_data"), lab.metrics("01_data").read_text() + "\n")
    assert told(lab) == expected


def test_metrics_made_by_hand_that_do_not_say_what_they_read_are_not_told(lab):
    write_text(lab.metrics("04_evaluate"), json.dumps(dict.fromkeys(REQUIRED_METRICS["04_evaluate"], 1)))
    assert "04_evaluate" not in told(lab)
    assert "test_accuracy" not in merged_metrics(lab)


def test_what_make_trains_over_a_model_made_by_hand_is_not_told_with_its_test_figures(lab):
    keep_record(lab, "03_train", "failed")
    assert told(lab) == NAMES[:2]
    write_text(lab.weights, "another")
    for name in NAMES[:3]:
        keep_record(lab, name)
    assert told(lab) == NAMES[:3]


def test_after_a_failure_the_answers_of_an_older_model_are_stale(run):
    keep_record(run, "03_train", "failed")
    assert stale(run) == NAMES[3:]
    assert current_records(run)["03_train"].verdict == "failed"


def test_index_and_page_of_all_runs_say_so(run):
    write_index(run)
    assert "stale" not in re.sub(r"<style>.*?</style>", "", run.index.read_text(), flags=re.DOTALL)
    write_text(run.params(), dump_yaml(load_params("default", "features.neighbours=5").model_dump()))
    write_index(run)
    assert run.index.read_text().count('<span class="verdict stale">stale</span>') == 1
    assert "make all RUN=r" in run.index.read_text()
    assert '<span class="verdict stale">05_features stale</span>' in runs_table_page().read_text()


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ("abcd", "abxd", ["cell 3 changed"]),
        ("abcd", "abcxd", ["cell 4 added"]),
        ("abcd", "acd", ["cell 2 removed"]),
        ("abcd", "axyd", ["cells 2 to 3 changed"]),
        ("abcd", "abcd", []),
    ],
)
def test_cells_are_named_by_their_place(then, now, said):
    assert changed_cells(list(then), list(now)) == said
