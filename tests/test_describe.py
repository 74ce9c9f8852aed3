"""What is said of a run: of which commit its code is."""

import subprocess

import pytest

from mnistlib import describe, source


def commit(folder):
    """Make a repository of the folder, with one commit."""
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-mx"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)


@pytest.mark.parametrize("own", [True, False])
def test_a_commit_is_recorded_where_the_repository_is_the_projects_own(tmp_path, monkeypatch, own):
    archive = tmp_path / "downloaded" / "archive"
    archive.mkdir(parents=True)
    commit(tmp_path)
    if own:
        commit(archive)
    monkeypatch.setattr(describe, "ROOT", archive)
    assert bool(source.code_version()) == own
