"""The bench of picture files: what it renders, whom it draws from, and how it counts."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.accuracy.pendigits import Drawing
from bench.accuracy.pictures import as_table, score
from bench.page import write_page
from bench.pictures import other_readers
from bench.pictures.contact_sheet import write_sheet
from bench.pictures.other_readers import character_error_rate, edit_distance, labeled_pages
from bench.pictures.rendered import CONDITIONS, at_edge, ink
from bench.pictures.sources import cut, save, seeded, stratified

SLANTED = [np.array([[100.0, 0.0], [0.0, 300.0]])]
CORNER = [np.array([[0.0, 0.0], [0.0, 300.0], [200.0, 300.0]])]


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_renders_the_same_picture_again_and_another_for_other_writers(name):
    first, again, other = (
        CONDITIONS[name](seeded(name, half), Drawing(4, 1, CORNER)) for half in ("tune", "tune", "report")
    )
    assert first.dtype == np.uint8 and first.ndim in (2, 3)
    assert np.array_equal(first, again) and first.std() > 0
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize(("side", "pen", "hard"), [(280, 0.02, True), (280, 0.15, False), (1000, 0.08, False)])
def test_pen_and_digit_are_as_large_as_asked(side, pen, hard):
    drawn = ink(seeded("x", "tune"), Drawing(1, 1, CORNER), side, pen, 0.7, hard) > 0.5
    _, _, width, height = cv2.boundingRect(drawn.astype(np.uint8))
    assert max(width, height) == pytest.approx(0.7 * side, abs=2)
    stem = drawn[side // 2].sum()  # across the upright stroke
    assert stem == pytest.approx(pen * 0.7 * side, abs=1.5)


def test_hard_ink_has_no_gray():
    hard, soft = (ink(seeded("x", "tune"), Drawing(1, 1, SLANTED), 64, 0.1, 0.7, hard) for hard in (True, False))
    assert len(np.unique(hard)) == 2
    assert len(np.unique(soft)) > 2


def test_a_digit_that_touches_an_edge_keeps_its_ink_and_one_that_crosses_it_loses_little():
    def dark(beyond):
        return [
            (255 - at_edge(np.random.default_rng(i), Drawing(1, 1, CORNER), beyond).astype(int)).sum() for i in range(9)
        ]

    whole = [255 * ink(np.random.default_rng(i), Drawing(1, 1, CORNER), fill=0.6).sum() for i in range(9)]
    assert np.allclose(dark(0.0), whole, rtol=0.03)
    assert all(0.5 < part / all_of_it < 1 for part, all_of_it in zip(dark(0.04), whole, strict=True))


def test_writers_are_drawn_evenly_and_the_halves_share_none():
    drawings = [Drawing(i % 10, i % 30, SLANTED) for i in range(900)]
    halves = [stratified(drawings, 150, half, np.random.default_rng(0)) for half in ("tune", "report")]
    for half, names in zip(halves, (range(15), range(15, 30)), strict=True):
        writers = [drawing.writer for drawing in half]
        assert {writers.count(name) for name in names} == {10}
        assert len({id(drawing) for drawing in half}) == 150


def test_mnist_is_cut_to_its_box():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 9:19] = 200
    assert cut(image, 40, True, False).shape == (40, 20)
    square = cut(image, 28, False, True)
    assert square.shape == (28, 28)
    assert (square == 55).all()


class Answers:
    """A predictor that answers as it was told."""

    def __init__(self, *answers):
        self.answers = answers

    def files(self, paths):
        assert len(paths) == len(self.answers)
        return [
            SimpleNamespace(digit=d, accepted=a, confidence=0.5, image=np.zeros((28, 28), np.uint8))
            for d, a in self.answers
        ]


class Pages(Answers):
    """One that reads pages, too."""

    def page(self, path):
        return SimpleNamespace(numbers=[SimpleNamespace(text=text) for text in Path(path).stem.split()])


def test_shares_are_counted_by_hand():
    labeled = [(Path(name), label) for name, label in (("a", "3"), ("b", "3"), ("c", "3"), ("d", ""), ("e", ""))]
    figures, wrong = score(Answers((3, True), (3, False), (5, True), (5, True), (5, False)), labeled)
    assert figures == {"n": 5, "right": 0.6, "accepted": 0.6, "wrong_accepted": 0.4}
    assert [path.name for path, *_ in wrong] == ["c", "d"]


def test_two_digits_are_right_only_where_pages_are_read():
    labeled = [(Path("4 7.png"), "47"), (Path("2?.png"), "25")]
    answers = ((4, True), (2, False))
    assert score(Answers(*answers), labeled)[0]["right"] == 0
    figures, wrong = score(Pages(*answers), labeled)
    assert (figures["right"], figures["accepted"]) == (0.5, 0.5)
    assert [said for _, _, said, _ in wrong] == ["2?"]


@pytest.mark.parametrize(("left", "right", "steps"), [("", "12", 2), ("kitten", "sitting", 3), ("12", "12", 0)])
def test_edit_distance(left, right, steps):
    assert edit_distance(left, right) == edit_distance(right, left) == steps


def test_character_errors_are_counted_over_all_labels(tmp_path):
    (tmp_path / "labels.csv").write_text("file,text\na.png,12 3 / 4\nb.png,1-2R\n")
    assert [text for _, text in labeled_pages(tmp_path)] == ["1234", "12"]
    assert character_error_rate([("1234", "134"), ("12", "12")]) == pytest.approx(1 / 6)


def test_a_sheet_shows_picture_and_input_and_the_page_shows_the_table(tmp_path):
    path = save(tmp_path / "a", np.full((50, 80, 3), (200, 10, 10), np.uint8))
    prediction = SimpleNamespace(image=np.full((28, 28), 255, np.uint8), confidence=0.9, accepted=True)
    write_sheet(tmp_path / "sheets" / "one.png", [(path, "3", "5", prediction)])
    colors = {color for _, color in Image.open(tmp_path / "sheets" / "one.png").getcolors(10_000)}
    assert {(200, 10, 10), (255, 255, 255)} <= colors
    row = {"condition": "sheet", "n": 4, "right": 0.75, "accepted": 0.5, "wrong_accepted": 0.25, "each_seconds": 0.0}
    assert "75.0" in repr(as_table([row]))
    results = {"machine": "two cores", "date": "2026-01-01 00:00", "pipelines": {}, "pictures": [row]}
    write_page(tmp_path / "index.html", results)
    assert "75.0" in (tmp_path / "index.html").read_text()


def test_other_readers_are_scored_by_folder(tmp_path, monkeypatch):
    for name in ("single/pen/3/a.png", "single/pen/4/b.png", "several/notes/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "several/notes/labels.csv").write_text("file,text\nc.png,3 4 / 56\n")
    monkeypatch.setattr(other_readers, "readers", lambda: {"always 3": lambda path, single: "a 3!"})
    rows = other_readers.compare(tmp_path)
    assert [(r["folder"], r["n"], r["value"]) for r in rows] == [("single/pen", 2, 0.5), ("several/notes", 1, 0.75)]
