"""How long a stage usually takes, by what runs have kept."""

import os

import pytest

from mnistlib import rundir
from mnistlib.files import write_json, write_text
from mnistlib.rundir import Run
from mnistlib.status import FAILED, OK, Status, write_status
from mnistlib.usual import likeness, usual_seconds

STAGE = "03_train"
PARAMETERS = {"run": "mine", "seed": 0, "epochs": 3}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep what became of a run's training; the last one kept is the newest."""
    monkeypatch.setattr(rundir, "RUNS", tmp_path)
    made = []

    def keep(name: str, seconds: float, verdict: str = OK, dataset: str = "mnist", **changed: object) -> Run:
        run = Run(name)
        write_json(run.raw_json, {"dataset": dataset})
        write_text(run.weights, "weights")
        os.utime(run.weights, (len(made), len(made)))
        made.append(name)
        like = likeness(run, STAGE, {**PARAMETERS, "run": name, **changed})
        write_status(run, Status(STAGE, verdict, seconds={"start": 1, "work": seconds - 1}, like=like))
        return run

    return keep


def test_its_own_last_time_counts_before_that_of_newer_runs(kept):
    mine = kept("mine", 20)
    kept("other", 30)
    assert usual_seconds(mine, STAGE, PARAMETERS) == 20


def test_else_the_newest_run_that_did_the_same_work_counts(kept):
    kept("older", 10)
    kept("newer", 30, seed=7)
    mine = kept("mine", 5, FAILED)
    assert usual_seconds(mine, STAGE, PARAMETERS) == 30


@pytest.mark.parametrize("unlike", [{"epochs": 12}, {"dataset": "digits"}, {"verdict": FAILED}])
def test_other_work_says_nothing(kept, unlike):
    kept("other", 30, **unlike)
    mine = kept("mine", 5, epochs=1)
    assert usual_seconds(mine, STAGE, PARAMETERS) == 0


def test_other_cores_say_nothing(kept, monkeypatch):
    mine = kept("mine", 20)
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    assert usual_seconds(mine, STAGE, PARAMETERS) == 0


def test_where_nothing_was_kept_nothing_is_known(kept):
    assert usual_seconds(Run("first"), "01_data", {"run": "first"}) == 0
