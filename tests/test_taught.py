"""The run that teaching makes: claimed by one alone, whole or not at all."""

import pytest

from mnistlib import rundir
from mnistlib.files import RunError, write_json
from mnistlib.rundir import Run
from mnistlib.taught import check_teachable, new_run


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(rundir, "RUNS", tmp_path)
    return Run("r")


def test_two_that_teach_at_once_have_a_run_each(base, tmp_path):
    with new_run(base) as first, new_run(base) as second:
        pass
    assert [first.name, second.name] == ["r-taught", "r-taught-2"]
    assert first.folder.is_dir()


@pytest.mark.parametrize("error", [RunError, OSError, KeyboardInterrupt])
def test_of_what_fails_nothing_is_left(base, tmp_path, error):
    with pytest.raises(error), new_run(base) as run:
        run.weights.parent.mkdir()
        run.weights.write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_other_things_is_taught_no_digits(base):
    write_json(base.model_json, {"training": {"dataset": "fashion_mnist"}})
    with pytest.raises(RunError, match="trained on fashion_mnist, which has no digits"):
        check_teachable(base, [])


def test_where_nothing_can_be_written_it_says_so(base, tmp_path, monkeypatch):
    monkeypatch.setattr(rundir, "RUNS", tmp_path / "file" / "runs")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*/r-taught"), new_run(base):
        pass
