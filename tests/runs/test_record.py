"""What is kept of a stage, and what a damaged record counts for; how long a stage took before."""

import json
import os
import re

import psutil
import pytest

from mnistlib.core.files import write_json, write_text
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.record import FAILED, OK, Record, duration_estimate, read_record, workload_digest, write_record
from mnistlib.runs.stages import STAGE
from tests.records import keep_record

TRAIN = "03_train"
PARAMETERS = {"run": "mine", "seed": 0, "epochs": 3}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    keep_record(Run("r"), TRAIN)
    return Run("r")


@pytest.mark.parametrize(
    "damage",
    [
        {"seconds": None},
        {"seconds": {"work": "long"}},
        {"process": "x"},
        {"verdict": 1},
        {"outputs": {"a": "b"}},
        {"inputs": {"parameters": {}}},
        {"stage": []},
    ],
)
def test_a_damaged_record_is_none(run, damage):
    path = run.status(TRAIN)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert read_record(run, TRAIN).verdict == "not run"


@pytest.mark.parametrize(("later", "verdict"), [(0, "running"), (60, "died")])
def test_another_process_with_the_runners_number_is_not_the_runner(run, later, verdict):
    began = psutil.Process().create_time() - later
    write_record(run, Record(TRAIN, "running", process=(os.getpid(), began)))
    assert read_record(run, TRAIN).verdict == verdict


def test_a_fine_tuned_run_is_known_by_its_model_or_by_its_report(run):
    assert not is_fine_tuned(run)
    for path, content in (
        (run.model_json, '{"training": []}'),
        (run.model_json, '{"training": {"fine_tuned_from": "a"}}'),
        (run.teach_json, "{}"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        assert is_fine_tuned(run) == ("[]" not in content)
        path.unlink()


def test_a_stages_page_and_the_index_tell_the_same_seconds(smoke):
    index = (smoke.run() / "reports" / "index.html").read_text()
    for name in STAGE:
        there = re.search(
            r'<span title="[^"]*">([\d.]+) s</span>', (smoke.run() / "reports" / f"{name}.html").read_text()
        )
        listed = re.search(rf'{name}\.html">{name}</a></td>.*?<td class="number">([\d.]+)</td>', index, re.DOTALL)
        assert there and listed and there[1] == listed[1]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep what became of a run's training; the last one kept is the newest."""
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    made = []

    def keep(name: str, seconds: float, verdict: str = OK, dataset: str = "mnist", **changed: object) -> Run:
        run = Run(name)
        write_json(run.raw_json, {"dataset": dataset})
        write_text(run.weights, "weights")
        alike = workload_digest(run, TRAIN, {**PARAMETERS, "run": name, **changed})
        write_record(run, Record(TRAIN, verdict, seconds={"start": 1, "work": seconds - 1}, alike=alike))
        made.append(name)
        record = json.loads(run.status(TRAIN).read_text())
        run.status(TRAIN).write_text(json.dumps(record | {"finished": f"2026-01-01 00:00:{len(made):02d}"}))
        return run

    return keep


def test_its_own_last_time_counts_before_that_of_newer_runs(kept):
    mine = kept("mine", 20)
    kept("other", 30)
    assert duration_estimate(mine, TRAIN, PARAMETERS) == 20


def test_else_the_newest_run_that_did_the_same_work_counts(kept):
    older = kept("older", 10)
    kept("newer", 30, seed=7)
    os.utime(older.weights, (2e9, 2e9))  # copied, say: a file's time tells nothing
    mine = kept("mine", 5, FAILED)
    assert duration_estimate(mine, TRAIN, PARAMETERS) == 30


@pytest.mark.parametrize("unlike", [{"epochs": 12}, {"dataset": "digits"}, {"verdict": FAILED}])
def test_other_work_says_nothing(kept, unlike):
    kept("other", 30, **unlike)
    mine = kept("mine", 5, epochs=1)
    assert duration_estimate(mine, TRAIN, PARAMETERS) == 0


def test_other_cores_say_nothing(kept, monkeypatch):
    mine = kept("mine", 20)
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    assert duration_estimate(mine, TRAIN, PARAMETERS) == 0


def test_where_nothing_was_kept_nothing_is_known(kept):
    assert duration_estimate(Run("first"), "01_data", {"run": "first"}) == 0
