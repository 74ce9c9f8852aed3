"""What is said of a stage whose inputs have changed since it ran."""

import json
import os
import re

import psutil
import pytest

from mnistlib import rundir
from mnistlib.artifacts import always
from mnistlib.index import write_index
from mnistlib.modelfile import is_taught
from mnistlib.rundir import Run, overview_page
from mnistlib.stages import FIGURES, MEASURES, STAGES
from mnistlib.status import Status, merged_metrics, present_status, read_status, write_status
from mnistlib.story import tell_story

NAMES = [stage.name for stage in STAGES]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose six stages ended well, one after the other, their files a second apart."""
    monkeypatch.setattr(rundir, "RUNS", tmp_path)
    run = Run("r")
    for place, name in enumerate(NAMES):
        write_status(run, Status(name, "ok"))
        for path, when in ((run.params(name), 0), (run.notebook(name), 10 + place), (run.handed_on(name), 10 + place)):
            path.parent.mkdir(exist_ok=True)
            path.write_text("")
            os.utime(path, (when, when))
    return run


def stale(run):
    return [name for name in NAMES if present_status(run, name).verdict == "stale"]


def test_a_whole_run_is_not_stale(run):
    assert stale(run) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (lambda run: run.params("03_train"), NAMES[2:]),
        (lambda run: run.params("05_features"), ["05_features"]),
        (lambda run: run.handed_on("02_preprocess"), NAMES[2:]),
        (lambda run: run.handed_on("04_evaluate"), ["06_infer"]),
        (lambda run: run.handed_on("06_infer"), []),
    ],
)
def test_what_reads_from_something_newer_is_stale_and_what_follows_from_it(run, changed, expected):
    os.utime(changed(run), (100, 100))
    assert stale(run) == expected


def test_a_notebook_that_was_taken_away_leaves_its_stage_stale(run):
    run.notebook("05_features").unlink()
    assert stale(run) == ["05_features"]


def test_a_taught_run_is_known_by_its_model_or_by_its_report(run):
    assert not is_taught(run)
    for path, content in (
        (run.model_json, '{"training": []}'),
        (run.model_json, '{"training": {"taught_from": "a"}}'),
        (run.teach_json, "{}"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        assert is_taught(run) == ("[]" not in content)
        path.unlink()


def test_figures_of_a_model_that_is_no_longer_there_are_not_told(run):
    for name in NAMES:
        run.metrics(name).parent.mkdir(exist_ok=True)
        run.metrics(name).write_text(json.dumps({name: 1} | dict.fromkeys(MEASURES.get(name, ()), 1)))
        for figure in FIGURES[name]:
            run.figure(figure).parent.mkdir(parents=True, exist_ok=True)
            run.figure(figure).write_bytes(b"")
    assert set(NAMES) <= merged_metrics(run).keys()
    assert len(tell_story(run)) == 6
    os.utime(run.handed_on("03_train"), (100, 100))
    assert set(NAMES) & merged_metrics(run).keys() == set(NAMES[:3])
    assert "test_accuracy" not in merged_metrics(run)
    assert [chapter["id"] for chapter in tell_story(run)] == ["data"]
    run.status("03_train").unlink()  # by hand: nothing is known of it
    assert "val_accuracy" in merged_metrics(run)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A run made by hand: what its six stages left, a second apart, and nothing that make keeps."""
    monkeypatch.setattr(rundir, "RUNS", tmp_path)
    lab = Run("lab")
    for when, name in enumerate(NAMES, 10):
        for path in (lab.folder / each for each in always(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({name: 1} | dict.fromkeys(MEASURES.get(name, ()), 1)))
            os.utime(path, (when, when))
    return lab


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
def test_of_what_was_made_by_hand_nothing_is_told_that_what_it_read_has_outlived(lab, changed, expected):
    assert told(lab) == NAMES
    os.utime(lab.folder / changed, (100, 100))
    assert told(lab) == expected


def test_a_run_by_hand_whose_copy_has_one_time_for_all_is_told_whole(lab):
    for path in lab.folder.rglob("*.*"):
        os.utime(path, (100, 100))
    assert told(lab) == NAMES


def test_what_make_trains_over_a_model_made_by_hand_is_not_told_with_its_test_figures(lab):
    write_status(lab, Status("03_train", "failed"))
    assert told(lab) == NAMES[:2]
    for when, name in enumerate(NAMES[:3], 100):
        write_status(lab, Status(name, "ok"))
        lab.notebook(name).parent.mkdir(exist_ok=True)
        lab.notebook(name).write_text("")
        for path in (lab.notebook(name), *(lab.folder / each for each in always(name))):
            os.utime(path, (when, when))
    assert told(lab) == NAMES[:3]


def test_after_a_failure_the_answers_of_an_older_model_are_stale(run):
    write_status(run, Status("03_train", "failed"))
    run.notebook("03_train").unlink()
    assert stale(run) == NAMES[3:]
    assert present_status(run, "03_train").verdict == "failed"


def test_index_and_page_of_all_runs_say_so(run):
    write_index(run)
    assert "stale" not in re.sub(r"<style>.*?</style>", "", run.index.read_text(), flags=re.DOTALL)
    os.utime(run.params("05_features"), (100, 100))
    write_index(run)
    assert run.index.read_text().count('<span class="verdict stale">stale</span>') == 1
    assert "make all RUN=r" in run.index.read_text()
    assert '<span class="verdict stale">05_features stale</span>' in overview_page().read_text()


def test_a_stages_page_and_the_index_tell_the_same_seconds(smoke):
    index = (smoke.run() / "reports" / "index.html").read_text()
    for name in NAMES:
        there = re.search(
            r'<span title="[^"]*">([\d.]+) s</span>', (smoke.run() / "reports" / f"{name}.html").read_text()
        )
        listed = re.search(rf'{name}\.html">{name}</a></td>.*?<td class="number">([\d.]+)</td>', index, re.DOTALL)
        assert there and listed and there[1] == listed[1]


@pytest.mark.parametrize(
    "damage",
    [
        {"seconds": None},
        {"seconds": {"work": "long"}},
        {"process": "x"},
        {"verdict": 1},
        {"traces": {"a": "b"}},
        {"stage": []},
    ],
)
def test_a_damaged_status_is_none(run, damage):
    path = run.status("03_train")
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert read_status(run, "03_train").verdict == "not run"


@pytest.mark.parametrize(("later", "verdict"), [(0, "running"), (60, "died")])
def test_another_process_with_the_runners_number_is_not_the_runner(run, later, verdict):
    began = psutil.Process().create_time() - later
    write_status(run, Status("03_train", "running", process=(os.getpid(), began)))
    assert read_status(run, "03_train").verdict == verdict
