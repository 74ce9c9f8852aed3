"""The pad fed with the events that a browser sends, without one."""

import json
import threading

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.evaluation.calibration import Calibration
from mnistlib.imaging.framing import rasterize
from mnistlib.inference import drawings as handwriting
from mnistlib.inference.predictor import Predictor
from mnistlib.inference.sketchpad.pad import SketchPad, open_pad
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build

SEVEN = [[(10.0, 20.0), (60.0, 20.0), (30.0, 90.0)], [(20.0, 60.0), (50.0, 55.0)]]


@pytest.fixture
def pad(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(handwriting, "HANDWRITING", tmp_path / "handwriting")
    network = build(Architecture(widths=(4, 8, 16), hidden=32), 0).eval()
    return SketchPad(Predictor(network, Calibration(1.0, 0.0, 0.0, 1.0, 0.0), "r", "abc", "mnist"))


def send(pad, event, **content):
    """What the browser's side of ipycanvas sends: the one place that knows how."""
    pad.canvas._handle_frontend_event(pad.canvas, {"event": event, **content}, [])


def mouse(pad, event, point):
    send(pad, f"mouse_{event}", x=point[0], y=point[1])


def press(pad, key, **held):
    send(pad, "key_down", key=key, **{"shift_key": False, "ctrl_key": False, "meta_key": False, **held})


def draw(pad, strokes=SEVEN):
    for first, *rest in strokes:
        mouse(pad, "down", first)
        for point in rest:
            mouse(pad, "move", point)
        mouse(pad, "up", rest[-1] if rest else first)


def click(pad, text):
    (button,) = [b for b in buttons(pad) if b.description.startswith(text)]
    button.click()


def buttons(widget):
    found = [widget] if hasattr(widget, "click") and hasattr(widget, "description") else []
    return found + [b for child in getattr(widget, "children", ()) for b in buttons(child)]


def drawings(pad):
    return sorted(pad.run.drawings.glob("*/drawing.json")) if pad.run.drawings.is_dir() else []


def test_strokes_are_kept_in_python_and_predicted(pad):
    draw(pad)
    assert pad.strokes == SEVEN
    expected = pad.predictor.strokes(SEVEN)
    assert pad.view.digit.value == str(expected.digit)
    assert np.array_equal(pad.answer.image, rasterize(SEVEN))
    assert pad.view.bars.value.count('<div class="sketchpad-bar') == 10


@pytest.mark.parametrize("ending", ["mouse_up", "mouse_out"])
def test_a_stroke_ends_on_up_and_out(pad, ending):
    mouse(pad, "down", (1, 1))
    send(pad, ending, x=5, y=5)
    mouse(pad, "move", (9, 9))
    assert pad.strokes == [[(1, 1)]]


@pytest.mark.parametrize("ending", ["touch_end", "touch_cancel"])
def test_touch_draws_with_the_first_finger(pad, ending):
    send(pad, "touch_start", touches=[{"x": 1, "y": 1}, {"x": 90, "y": 90}])
    send(pad, "touch_move", touches=[{"x": 5, "y": 9}, {"x": 91, "y": 90}])
    send(pad, ending, touches=[])
    send(pad, "touch_move", touches=[{"x": 7, "y": 7}])
    assert pad.strokes == [[(1, 1), (5, 9)]]
    assert pad.answer is not None


def test_moves_without_a_stroke_draw_nothing(pad):
    mouse(pad, "move", (5, 5))
    mouse(pad, "up", (5, 5))
    assert pad.strokes == []
    assert pad.view.digit.value == "?"


def test_space_saves_everything_once(pad):
    draw(pad)
    press(pad, " ")
    press(pad, " ")
    assert "already saved" in pad.view.status.value
    (path,) = drawings(pad)
    kept = json.loads(path.read_text())
    assert kept["strokes"] == [[list(point) for point in stroke] for stroke in SEVEN]
    assert kept["digit"] == pad.answer.digit
    assert np.allclose(kept["probabilities"], pad.answer.probabilities, atol=1e-6)
    assert (kept["model"], kept["label"]) == ("abc", None)
    assert (path.parent / "picture.png").is_file()
    assert not (handwriting.HANDWRITING).exists()


def test_a_further_stroke_is_another_drawing(pad):
    draw(pad)
    press(pad, " ")
    draw(pad, [[(70.0, 70.0), (80.0, 90.0)]])
    press(pad, " ")
    assert len(drawings(pad)) == 2


def test_nothing_is_saved_without_ink(pad):
    press(pad, " ")
    assert "nothing to save" in pad.view.status.value
    assert not drawings(pad)


def test_a_label_is_saved_with_the_drawing_and_for_fine_tuning(pad):
    draw(pad)
    click(pad, "7")
    click(pad, "4")
    assert "saved as a 4" in pad.view.status.value
    (path,) = drawings(pad)
    assert json.loads(path.read_text())["label"] == 4
    (mine,) = handwriting.load_handwriting(handwriting.HANDWRITING)
    assert (mine.label, mine.strokes) == (4, [[list(p) for p in stroke] for stroke in SEVEN])


@pytest.mark.parametrize("way", ["key", "button"])
def test_clear_undo_and_close(pad, way):
    act = {"key": lambda key, _: press(pad, key), "button": lambda _, text: click(pad, text)}[way]
    draw(pad)
    act("z", "Undo")
    assert pad.strokes == SEVEN[:1]
    assert np.array_equal(pad.answer.image, rasterize(SEVEN[:1]))
    act("C", "Clear")
    assert pad.strokes == []
    assert "cleared" in pad.view.status.value
    act("z", "Undo")
    assert "nothing to undo" in pad.view.status.value
    act("Escape", "Close")
    assert "closed" in pad.view.status.value
    draw(pad)
    assert pad.strokes == []


def test_shortcuts_of_the_browser_are_no_commands(pad):
    draw(pad)
    press(pad, "c", ctrl_key=True)
    press(pad, "z", meta_key=True)
    assert pad.strokes == SEVEN


def test_an_unsure_answer_is_a_question_mark(pad):
    pad.predictor = Predictor(pad.predictor.network, Calibration(1.0, 0.999, 0.0, 0.0, 0.0), "r", "abc", "mnist")
    draw(pad)
    assert pad.view.digit.value == "?"
    assert "perhaps" in pad.view.caption.value


def test_an_outlier_is_called_not_a_digit(pad):
    pad.predictor = Predictor(pad.predictor.network, Calibration(1.0, 0.0, 1e9, 0.0, 0.0), "r", "abc", "mnist")
    draw(pad)
    assert pad.view.digit.value == "?"
    assert pad.view.caption.value == "this is not a digit"


def test_an_error_is_shown_and_the_pad_lives(pad):
    good = pad.predictor
    draw(pad)
    pad.predictor = None
    draw(pad, [[(1.0, 1.0), (2.0, 9.0)]])
    assert "AttributeError" in pad.view.status.value
    assert "error" in pad.view.status.value
    pad.predictor = good
    press(pad, " ")
    assert len(drawings(pad)) == 1


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(pad):
    pad.run.folder.mkdir()
    pad.run.folder.joinpath("data").write_text("in the way")
    draw(pad)
    press(pad, " ")
    assert "cannot save the drawing" in pad.view.status.value
    assert pad.strokes == SEVEN


def test_events_from_several_threads_keep_their_strokes(pad):
    threads = [threading.Thread(target=draw, args=(pad, [[(i, 0.0), (i, 9.0)]])) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pad.strokes) == 8


def test_a_headless_session_has_no_widget(pad, capsys):
    assert open_pad(pad.predictor, Run("r")) is None
    assert "make lab" in capsys.readouterr().out


def test_a_damaged_drawing_is_named(pad):
    draw(pad)
    click(pad, "7")
    (path,) = handwriting.HANDWRITING.glob("*.json")
    path.write_text('{"strokes": [[[1, "x"]]], "digit": 1, "probabilities": [], "accepted": true, "model": ""}')
    with pytest.raises(RunError, match=path.name):
        handwriting.load_handwriting(handwriting.HANDWRITING)


def test_two_digits_get_a_box_each_and_are_not_saved_under_one_label(pad):
    draw(pad, [*SEVEN, [(120.0, 20.0), (125.0, 90.0)]])
    number = pad.predictor.number(pad.strokes)
    assert pad.view.digit.value == number.text
    assert len(number.text) == len(pad.boxed.digits) == 2
    assert pad.view.bars.value.count('<div class="sketchpad-bar') == 2
    assert "draw one digit alone" in pad.view.hint.value
    assert [b.description for b in buttons(pad) if b.disabled] == ["Save · Space", *map(str, range(10))]
    press(pad, " ")
    assert "not saved: these are 2 digits" in pad.view.status.value
    assert not drawings(pad)
    press(pad, "z")
    assert not any(b.disabled for b in buttons(pad))
    assert np.array_equal(pad.answer.image, rasterize(SEVEN))
    assert len(pad.boxed.digits) == 1
