"""The run that teaching makes: claimed by one alone, whole or not at all."""

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_json, write_text
from mnistlib.data.loading import obtain
from mnistlib.data.preprocess import Split, save_splits, split
from mnistlib.inference.drawings import Drawing
from mnistlib.pipeline import fine_tune_run
from mnistlib.pipeline.fine_tune_run import check_can_fine_tune, new_run
from mnistlib.reporting.front_page import write_index
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    return Run("r")


def test_two_that_teach_at_once_have_a_run_each(base, tmp_path):
    with new_run(base) as first, new_run(base) as second:
        pass
    assert [first.name, second.name] == ["r-taught", "r-taught-2"]
    assert Run(first.name).folder.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r-taught", "r-taught-2"]


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
        check_can_fine_tune(base, [])


def test_where_nothing_can_be_written_it_says_so(base, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path / "file" / "runs")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*/r-taught"), new_run(base):
        pass


def test_its_front_page_is_what_it_won_whatever_becomes_of_its_only_stage(base, tmp_path):
    write_json(base.teach_json, {})
    write_index(base)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [base.teach_json]


def test_what_was_kept_back_and_the_test_part_are_counted_by_hand(monkeypatch):
    monkeypatch.setattr(fine_tune_run, "predict_logits", lambda network, images: np.eye(10)[[1, 2, 3, 4]])
    held = [Drawing([[[0, 0], [9, 9]]], 0, [], True, "", label) for label in (1, 7, 4)]
    test = Split(np.zeros((4, 28, 28), np.uint8), np.array([1, 7, 3, 4]))
    found = fine_tune_run.measure(None, held, np.array([1, 2, 3]), test, "after")
    assert found == {"held_back_right_after": 1, "test_accuracy_after": 0.75}


def test_what_is_no_digit_is_rehearsed_as_often_as_it_was_learnt(base):
    raw = obtain("digits")
    save_splits(base, split(raw, 0.1, seed=0), raw)
    for share in (0.0, 0.25):
        write_text(base.params(), f"train: {{outliers: {share}}}")
        labels = fine_tune_run.rehearse(base, 0).labels
        assert (int((labels >= 0).sum()), int((labels < 0).sum())) == (1293, round(share * 1293))
