"""The run's tree."""

import pytest

from mnistlib import rundir
from mnistlib.files import RunError
from mnistlib.rundir import Run
from mnistlib.stages import MODEL_FILE, STAGES


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a b", "$(shell ls)", "a;b", "-x", "data", "Bench", "é", "a\n"]
)
def test_names_that_are_no_folder_of_their_own_are_refused(name):
    with pytest.raises(RunError, match="RUN"):
        Run(name)


@pytest.mark.parametrize("name", ["default", "my-run_2.1", "A", "2024"])
def test_ordinary_names_are_taken(name):
    assert Run(name).folder.name == name


def test_a_folder_that_no_run_could_be_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(rundir, "RUNS", tmp_path)
    for name in ("mine", "mine (copy)", "bench"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models" / MODEL_FILE).write_bytes(b"")
    assert [run.name for run in rundir.existing_runs()] == ["mine"]
    with pytest.raises(RunError, match="did you mean mine"):
        rundir.existing("mien")


def test_stages_read_only_from_earlier_ones():
    names = [stage.name for stage in STAGES]
    for place, stage in enumerate(STAGES):
        assert set(stage.needs) <= set(names[:place])
        assert set(stage.hands_on) <= set(stage.leaves)
