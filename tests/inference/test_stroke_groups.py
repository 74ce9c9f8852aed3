"""Strokes of a drawing grouped into digits: by place alone, and with a network's help where that is doubtful."""

import numpy as np
import pytest

from mnistlib.inference.prediction import Prediction
from mnistlib.inference.stroke_groups import group_strokes, read_number

CIRCLE = [(20 * np.cos(t), 20 * np.sin(t)) for t in np.linspace(0, 6.3, 30)]
ONE_DIGIT = {
    "a 4 in two strokes": [[(20, 0), (0, 60), (60, 60)], [(45, 20), (45, 100)]],
    "a 5 with its bar to the right": [[(10, 5), (8, 45), (45, 60), (40, 95), (0, 95)], [(12, 5), (60, 0)]],
    "an 8 of two circles": [CIRCLE, [(x + 3, y + 42) for x, y in CIRCLE]],
    "a barred 7": [[(0, 0), (60, 0), (25, 100)], [(15, 50), (60, 48)]],
    "a 1 with a dot beside its top": [[(0, 25), (0, 100)], [(12, 0), (13, 3)]],
    "a plus": [[(50, 0), (50, 100)], [(0, 50), (100, 50)]],
    "one dot": [[(5, 5)]],
}
FOUR, FIVE = ONE_DIGIT["a 4 in two strokes"], ONE_DIGIT["a 5 with its bar to the right"]


def moved(strokes, right, down=0):
    return [[(x + right, y + down) for x, y in stroke] for stroke in strokes]


def places(parts):
    """The groups of all parts, each as its sorted strokes, so that a test does not depend on the strokes' order."""
    return [sorted(map(list, group)) for part in parts for group in part]


def answers(accepted):
    """A network that accepts the drawings of so many strokes, and no others."""

    def read(groups):
        even = np.full(10, 0.1)
        return [
            Prediction(len(g), np.eye(10)[len(g)] if len(g) in accepted else even, len(g) in accepted, None)
            for g in groups
        ]

    return read


@pytest.mark.parametrize("name", ONE_DIGIT)
@pytest.mark.parametrize("size", [1e-3, 1.0, 50.0])
def test_the_strokes_of_one_digit_stay_together_at_any_size(name, size):
    strokes = [[(x * size, y * size) for x, y in stroke] for stroke in ONE_DIGIT[name]]
    assert places(group_strokes(strokes)) == [sorted(map(list, strokes))]


@pytest.mark.parametrize("gap", [25, 60, 300])
def test_digits_side_by_side_are_parts_of_their_own_from_left_to_right(gap):
    there = moved(FIVE, 60 + gap, 12)
    drawn = [there[1], FOUR[0], there[0], FOUR[1]]  # as a hand does that adds bars at the end
    parts = group_strokes(drawn)
    assert [len(part) for part in parts] == [1, 1]
    assert places(parts) == [sorted(FOUR), sorted(there)]


def test_without_points_there_is_nothing():
    assert group_strokes([]) == group_strokes([[], []]) == []
    assert read_number(answers({1}), [[]]).text == ""


@pytest.mark.parametrize(
    ("accepted", "text"), [({1, 2}, "2"), ({2}, "2"), ({1}, "11"), (set(), "?")], ids=["both", "one", "two", "neither"]
)
def test_the_network_decides_over_a_small_gap_and_one_digit_is_preferred(accepted, text):
    number = read_number(answers(accepted), [[(0, 0), (0, 100)], [(12, 0), (40, 50), (40, 100)]])
    assert number.text == text


def test_a_wide_gap_is_no_question_to_the_network_and_boxes_hold_the_strokes():
    number = read_number(answers({4}), [*FOUR, *moved(FOUR, 100.5)])
    assert number.text == "??"
    assert [digit.box for digit in number.digits] == [(0, 0, 60, 100), (100, 0, 161, 100)]
