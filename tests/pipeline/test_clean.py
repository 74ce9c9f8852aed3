"""Deleting a run: asked first, of a link what it points to stays, and what cannot be deleted is said."""

import io
import os
import signal
import subprocess
import sys

import pytest

from mnistlib.pipeline import clean
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, runs_table_page


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    (Run("r").folder / "models").mkdir(parents=True)
    return Run("r")


def test_ctrl_c_at_the_question_deletes_nothing(project):
    project.run("r").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-m", "mnistlib", "clean"],
        cwd=project.folder,
        env=project.environment(RUN="r", PYTHONPATH=""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as asking:
        assert asking.stdout.read(6) == "delete"
        asking.send_signal(signal.SIGINT)
        said = asking.stdout.read()
    assert said == " runs/r? [y/N] \nnothing deleted\n"
    assert asking.returncode == 130
    assert project.run("r").is_dir()


def test_of_a_link_what_it_points_to_stays(run, tmp_path, capsys):
    elsewhere = run.folder.rename(tmp_path / "elsewhere")
    run.folder.symlink_to(elsewhere)
    assert clean.clean_run("r") == 0
    assert f"r is a link to {elsewhere}, which stays: delete the link? [y/N]" in capsys.readouterr().out
    assert not run.folder.is_symlink()
    assert (elsewhere / "models").is_dir()


def test_a_link_to_nothing_goes_too(run, tmp_path):
    run.folder.rename(tmp_path / "elsewhere")
    run.folder.symlink_to("nowhere")
    assert clean.clean_run("r") == 0
    assert not run.folder.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system, which cannot be deleted, needs root")
def test_what_cannot_be_deleted_is_said_and_the_rest_goes(run, capsys):
    (run.folder / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(run.folder / "disk")], check=True)
    try:
        assert clean.clean_run("r") == 1
        assert "cannot delete disk in " in capsys.readouterr().err
        assert [path.name for path in run.folder.iterdir()] == ["disk"]
        assert runs_table_page().is_file()
    finally:
        subprocess.run(["umount", str(run.folder / "disk")], check=True)
