"""The run's tree."""

import os
from pathlib import Path

import pytest

from mnistlib.core.errors import RunError
from mnistlib.runs import layout, lock
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import MODEL_FILE, STAGES


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
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    for name in ("mine", "mine (copy)", "bench"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models" / MODEL_FILE).write_bytes(b"")
    assert [run.name for run in layout.existing_runs()] == ["mine"]
    with pytest.raises(RunError, match="did you mean mine"):
        layout.existing_run("mien")
    with pytest.raises(RunError, match=r"there is no runs/far_off; the newest runs are mine$"):
        layout.existing_run("far_off")


@pytest.mark.parametrize("name", ["run.log", ".lock", "status", "reports/figures"])
def test_a_part_that_cannot_be_written_is_named_before_anything_is_touched(tmp_path, monkeypatch, name):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200))  # root may always
    run = Run("r")
    for part in ("status", "reports/figures"):
        (run.folder / part).mkdir(parents=True)
    for part in ("run.log", ".lock"):
        (run.folder / part).touch()
    lock.make_writable(run)
    (run.folder / name).chmod(0o555)
    with pytest.raises(RunError, match=f"cannot write .*{name}: the (file|folder) or its file system is read-only"):
        lock.make_writable(run)
    (run.folder / name).chmod(0o755)


def test_stages_read_only_from_earlier_ones():
    names = [stage.name for stage in STAGES]
    for place, stage in enumerate(STAGES):
        assert set(stage.needs) <= set(names[:place])
        assert set(stage.provides) <= set(stage.leaves)
