"""Drawings kept whole or not at all, and scored again by another model."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.data.synthetic import examples
from mnistlib.imaging.framing import rasterize
from mnistlib.inference import drawings
from mnistlib.inference.drawings import (
    Drawing,
    handwriting_metrics,
    load_handwriting,
    rescore,
    save_drawing,
    save_label,
)
from mnistlib.inference.predictor import Prediction
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(drawings, "HANDWRITING", tmp_path / "handwriting")
    return Run("r")


def drawing(which: int = 0, digit: int = 1, label: int | None = None, drawn_at: str = "2026-01-01") -> Drawing:
    strokes = [stroke.tolist() for stroke in examples()[which]]
    return Drawing(strokes, digit, [0.1] * 10, True, "abc", label, drawn_at)


def test_a_saved_drawing_is_loaded_again(run):
    folder, new = save_drawing(run, drawing())
    assert new
    assert drawings.load_drawings(run) == [drawing()]
    assert np.array_equal(np.asarray(Image.open(folder / "picture.png")), rasterize(drawing().strokes))


def test_the_same_strokes_are_saved_once(run):
    first, _ = save_drawing(run, drawing())
    again, new = save_drawing(run, drawing(digit=5))
    assert (again, new) == (first, False)
    assert drawings.load_drawings(run)[0].digit == 1


def test_a_label_reaches_the_regression_set_and_may_change(run):
    folder, _ = save_drawing(run, drawing())
    save_label(folder, 7)
    save_label(folder, 2)
    (mine,) = load_handwriting(drawings.HANDWRITING)
    assert mine.label == 2
    assert drawings.load_drawings(run)[0].label == 2


def test_a_save_that_was_killed_halfway_is_no_drawing(run):
    folder, _ = save_drawing(run, drawing())
    folder.rename(folder.with_name(".abc.part"))
    assert drawings.load_drawings(run) == []


def test_the_oldest_comes_first(run):
    for which, day in ((0, "2026-01-03"), (1, "2026-01-01"), (2, "2026-01-02")):
        save_drawing(run, drawing(which, drawn_at=day))
    assert [d.drawn_at[-1] for d in drawings.load_drawings(run)] == ["1", "2", "3"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_said_and_nothing_half_written_is_left(run, tmp_path):
    disk = tmp_path / "r"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], check=True)
    try:
        (disk / "ballast").write_bytes(b"0" * 4096 * 3)
        with pytest.raises(RunError, match="No space left"):
            save_drawing(run, drawing())
        assert [p for p in disk.rglob("*") if p.is_file()] == [disk / "ballast"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class Said:
    """A predictor with fixed predictions: rescoring compares them with the earlier ones."""

    def __init__(self, *digits: int, dataset: str = "mnist") -> None:
        self.digits, self.dataset = digits, dataset

    def images(self, images):
        return [Prediction(d, np.eye(10)[d], True, image) for d, image in zip(self.digits, images, strict=True)]


def test_won_lost_and_still_wrong_by_hand():
    drawn = [drawing(0, digit=1, label=1), drawing(1, 2, 7), drawing(2, 9, 9), drawing(0, 4, 5)]
    rows = rescore(Said(1, 7, 3, 6), drawn)
    assert [row["change"] for row in rows] == ["", "won", "lost", "still wrong"]
    assert handwriting_metrics(rows) == {
        "handwriting_count": 4,
        "handwriting_right": 2,
        "handwriting_won": 1,
        "handwriting_lost": 1,
    }


def test_without_drawings_there_is_nothing_to_say(run):
    assert rescore(Said(), load_handwriting(drawings.HANDWRITING)) == []
    assert handwriting_metrics([]) == {}


@pytest.mark.parametrize(("dataset", "count"), [("digits", 1), ("kmnist", 0), ("fashion_mnist", 0), ("None", 0)])
def test_a_model_of_other_things_is_not_asked_about_digits(dataset, count):
    assert len(rescore(Said(1, dataset=dataset), [drawing(0, 1, 1)])) == count


ODD = '{"strokes": [[[0, 1]]], "digit": %s, "label": %s, "probabilities": [], "accepted": true, "model": ""}'


NO_INK = '{"strokes": %s, "digit": 1, "label": 1, "probabilities": [], "accepted": true, "model": ""}'


@pytest.mark.parametrize(
    "text",
    [
        *("{}", "[]", "no json", '{"strokes": [[[0, "x"]]], "digit": 1}'),
        *(NO_INK % strokes for strokes in ("[]", "[[]]", f"[[[{'9' * 400}, 0]]]")),
        *(ODD % (digit, "1") for digit in ("10", "-1", "true", "null", "1.0")),
        *(ODD % ("1", label) for label in ("10", "-1", "false", '""', '"<b>7"')),
        *(ODD % ("1", f'7, "drawn_at": {moment}') for moment in ("7", "null", "[]")),
    ],
)
def test_a_damaged_drawing_is_named(run, text):
    drawings.HANDWRITING.mkdir()
    (drawings.HANDWRITING / "bad.json").write_text(text)
    with pytest.raises(RunError, match="bad"):
        load_handwriting(drawings.HANDWRITING)


def test_a_drawing_without_a_label_is_not_in_the_regression_set(run):
    mine = save_label(save_drawing(run, drawing())[0], 7)
    unnamed, _ = save_drawing(run, drawing(1))
    shutil.copy(unnamed / "drawing.json", drawings.HANDWRITING / "unnamed.json")
    assert load_handwriting(drawings.HANDWRITING) == [mine]


def test_a_folder_is_no_drawing_and_passed_over(run):
    folder, _ = save_drawing(run, drawing())
    mine = save_label(folder, 7)
    (drawings.HANDWRITING / "d.json").mkdir()
    (run.drawings / "of another kind" / "drawing.json").mkdir(parents=True)
    assert load_handwriting(drawings.HANDWRITING) == drawings.load_drawings(run) == [mine]
