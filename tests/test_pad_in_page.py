"""The pad in the front page, in a real Chromium without a network: the same answers as the predictor's."""

import os
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from torch import nn

from bench.accuracy.pendigits import read_drawings
from bench.browser import lab, screen
from mnistlib.core.files import ROOT
from mnistlib.data.pen_strokes import digit_templates
from mnistlib.data.synthetic import examples, smooth, warp
from mnistlib.inference import browser_export
from mnistlib.inference.browser_export import SIDE, page_data, save_browser_pad
from mnistlib.inference.predictor import load_predictor
from mnistlib.reporting.front_page import write_index
from mnistlib.runs.layout import Run
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import Architecture, build

PAPER = ".pad-paper"
# In which columns of the paper's middle row a box's blue line begins.
BLUE = """paper => { const copy = new OffscreenCanvas(paper.width, 1).getContext("2d");
  copy.drawImage(paper, 0, -paper.height / 2);
  const row = copy.getImageData(0, 0, paper.width, 1).data, blue = (x) => row[4 * x + 2] - row[4 * x] > 60;
  return Array.from({ length: paper.width }, (_, x) => x).filter((x) => blue(x) && !blue(x - 1)); }"""
START = datetime(2026, 1, 1)
NEAR_AND_FAR = {
    "nothing": [],
    "strokes without points": [[], []],
    "a dot": [[[5, 5]]],
    "a dot of two points": [[[5, 5], [5, 5]]],
    "two dots": [[[0, 0]], [[100, 40]]],
    "a long line": [[[0, 0], [100_000, 3]]],
    "outside of the paper": [[[-500, -20], [900, 700]], [[-300.5, 1200], [10, 10]]],
    "there and back": [[[0, 0], [30, 100], [0, 0]], [[10, 50], [60, 50], [10, 50]]],
    "hardly any extent": [[[1e-9, 0], [2e-9, 3e-9], [0, 1e-9]]],
    "as far as numbers go": [[[-1e308, 0], [1e308, 1e308]]],
    "nearly as far, to one side": [[[1.7134171722612858e308, 0], [-1.6855192520205998e307, 0]]],
    "thousands of points": [
        np.cumsum(np.random.default_rng(0).normal(size=(20_000, 2)), axis=0).tolist(),
        [[60 * np.cos(t), 90 * np.sin(t)] for t in np.linspace(0, 7, 5000)],
    ],
    "on a grid": np.random.default_rng(1).integers(0, 9, (3, 60, 2)).tolist(),
}


def some_drawings(count: int = 500):
    """Real pen drawings where they are at hand, else the project's own hands."""
    strokes_file, noise = os.environ.get("PEN_STROKES"), np.random.default_rng(0)
    if strokes_file:
        drawings = [drawing.strokes for drawing in read_drawings(ROOT / strokes_file)]
        return [[s.tolist() for s in strokes] for strokes in drawings[:: len(drawings) // count][:count]]
    templates = [variant for variants in digit_templates().values() for variant in variants.values()]
    chosen = [templates[i % len(templates)] for i in range(count)]
    return [[s.tolist() for s in warp([smooth(np.array(s, float)) for s in drawn], 1.0, noise)] for drawn in chosen]


FOUR, SEVEN = [[(20, 0), (0, 60), (60, 60)], [(45, 20), (45, 100)]], [[(0, 0), (60, 0), (25, 100)]]
FORTY_SEVEN = [*FOUR, *([(x + 110, y) for x, y in stroke] for stroke in SEVEN)]


@pytest.fixture(scope="module")
def predictor(smoke):
    return load_predictor(smoke.run())


@pytest.fixture
def opened(smoke, chromium):
    """Opens a front page; `context` are Playwright's options. It asks nothing of a host and shows no broken part."""
    watched = []

    def go(run=None, **context):
        page = chromium.new_context(offline=True, **context).new_page()
        watched.append((page, screen.watch(page)))
        page.goto(((run or smoke.run()) / "reports" / "index.html").as_uri())
        page.locator(PAPER).scroll_into_view_if_needed()
        return page

    yield go
    for page, found in watched:
        screen.check(page, found)
        page.context.close()


def ask(page, drawings):
    """What the page makes of drawings: its answers, with the picture as uint8 28×28."""
    script = "all => all.map(one => { const a = recognise(one); return { ...a, image: Array.from(a.image) }; })"
    return [{**a, "image": np.array(a["image"], int).reshape(28, 28)} for a in page.evaluate(script, drawings)]


def shown(page, part):
    return page.locator(f".pad-{part}").inner_text().strip()


def ink_in_row(page, y):
    """Whether there is ink at each x of a row of the paper, in its units."""
    row = """(paper, y) => { const copy = new OffscreenCanvas(paper.width, 1).getContext("2d");
      copy.drawImage(paper, 0, -2 * y);
      return Array.from(copy.getImageData(0, 0, paper.width, 1).data).filter((_, i) => i % 8 === 3); }"""
    return np.array(page.locator(PAPER).evaluate(row, y)) > 128


def whole_answer(page):
    """All that the page says of what is on the paper: caption, bars, and what the model saw."""
    return shown(page, "caption"), shown(page, "bars"), page.locator(".pad-saw").evaluate("saw => saw.toDataURL()")


def wait_for(page, words):
    page.wait_for_function("words => document.querySelector('.pad-status').innerText.includes(words)", arg=words)


def digit_shown(prediction):
    return str(prediction.digit) if prediction.accepted else "?"


@pytest.mark.slow
def test_it_predicts_as_the_predictor_does_for_500_drawings(opened, predictor):
    drawings = some_drawings()
    answers, expected = ask(opened(), drawings), [predictor.strokes(drawing) for drawing in drawings]
    assert np.mean([np.array_equal(a["image"], e.image) for a, e in zip(answers, expected, strict=True)]) > 0.99
    for answer, right in zip(answers, expected, strict=True):
        assert np.abs(answer["image"] - right.image).max() <= 8  # an angle's last bit may move one page pixel
        assert np.abs(answer["probabilities"] - right.probabilities).max() < 0.01
        assert (answer["digit"], answer["accepted"]) == (right.digit, right.accepted)
        assert answer["rejectionReason"] == right.rejection_reason


def test_a_network_in_eight_bits_predicts_nearly_the_same(opened, made, predictor, monkeypatch):
    run, in_sixteen = Run("smoke", made.folder / "runs"), len(page_data(predictor, [])[0])
    monkeypatch.setattr(browser_export, "MOST_BYTES", in_sixteen - 1)
    assert save_browser_pad(run, predictor, [])["bits of a weight"] == 8
    write_index(run)
    page, drawings = opened(made.run()), some_drawings(100)
    assert "rounded to 8 bits" in page.locator("#drawing-pad").inner_text()
    pairs = list(zip(ask(page, drawings), [predictor.strokes(drawing) for drawing in drawings], strict=True))
    seen_alike = [(a, e) for a, e in pairs if np.array_equal(a["image"], e.image)]
    assert max(np.abs(a["probabilities"] - e.probabilities).max() for a, e in seen_alike) < 0.03
    assert np.mean([a["digit"] == e.digit for a, e in pairs]) >= 0.99


def test_dots_lines_and_far_away_ink_are_framed_as_in_python(opened, predictor):
    page = opened()
    for name, answer in zip(NEAR_AND_FAR, ask(page, list(NEAR_AND_FAR.values())), strict=True):
        right = predictor.strokes(NEAR_AND_FAR[name])
        assert np.array_equal(answer["image"], right.image), name
        assert (answer["digit"], answer["rejectionReason"]) == (right.digit, right.rejection_reason), name
    assert "finite" in page.evaluate("() => { try { recognise([[[NaN, 1]]]); } catch (e) { return e.message; } }")


@pytest.mark.parametrize(
    ("kernels", "pooling"), [((4, 3, 2), ("max", "max", "stride")), ((3, 4, 5), ("none", "stride", "max"))]
)
def test_networks_of_other_architectures_predict_the_same(opened, made, predictor, kernels, pooling):
    torch.manual_seed(0)
    network = build(Architecture((3, 4, 5), 7, kernels=kernels, pooling=pooling), seed=1).eval()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)):
        for numbers in (norm.weight.data, norm.bias.data, norm.running_mean):
            numbers.normal_()
    other, run = replace(predictor, network=FusedNet(network)), Run("smoke", made.folder / "runs")
    save_browser_pad(run, other, [])
    write_index(run)
    drawings = some_drawings(10)
    for answer, drawing in zip(ask(opened(made.run()), drawings), drawings, strict=True):
        right = other.strokes(drawing)
        assert np.abs(answer["probabilities"] - right.probabilities).max() < 0.01
        assert answer["rejectionReason"] == right.rejection_reason


def test_drawn_with_the_mouse_undone_and_cleared(opened, predictor):
    strokes = [stroke.tolist() for stroke in examples()[1]]
    right, page = predictor.strokes(strokes), opened()
    below = page.locator(".pad-hint").evaluate("e => e.offsetTop")
    assert [shown(page, name) for name in ("digit", "caption", "status")] == ["?", "no ink yet", "Draw a digit."]
    lab.draw(page, strokes, PAPER)
    wait_for(page, "2 strokes: ")
    assert shown(page, "digit") == digit_shown(right)
    assert page.locator(".pad-bars .best b").inner_text() == str(right.digit)
    lab.draw(page, [[[0, 0], [1, 1]]], PAPER)
    wait_for(page, "3 strokes: ")
    page.keyboard.press("z")
    wait_for(page, "undone; 2 left")
    assert shown(page, "digit") == digit_shown(right)
    page.locator(".pad-undo").click()
    wait_for(page, "undone; 1 left")
    page.keyboard.press("c")
    wait_for(page, "cleared")
    assert (shown(page, "digit"), shown(page, "caption")) == ("?", "no ink yet")
    page.locator(".pad-undo").click()
    wait_for(page, "nothing to undo")
    assert page.locator(".pad-hint").evaluate("e => e.offsetTop") == below  # nothing has jumped


def test_two_digits_are_read_as_a_number_with_a_box_each(opened, predictor):
    page, expected = opened(), predictor.number(FORTY_SEVEN)
    assert [digit.prediction.digit for digit in expected.digits] == [4, 7]
    lab.draw(page, FORTY_SEVEN[:2], PAPER)
    wait_for(page, "2 strokes: ")
    assert len(shown(page, "digit")) == 1
    assert not page.locator(".pad-lines").is_visible()
    assert not page.locator(PAPER).evaluate(BLUE)
    page.keyboard.press("c")
    lab.draw(page, FORTY_SEVEN, PAPER)
    wait_for(page, f"3 strokes: {expected.text}, 2 digits")
    assert shown(page, "digit") == expected.text
    assert page.locator(".pad-lines li").count() == 2
    edges = page.locator(PAPER).evaluate(BLUE)
    assert len(edges) == 4
    page.locator(".pad-undo").click()
    wait_for(page, "undone; 2 left")
    assert page.locator(".pad-bars .best b").inner_text() == "4"


def test_numbers_are_read_as_the_predictor_reads_them(opened, predictor):
    drawings, rng = some_drawings(60), np.random.default_rng(0)
    numbers = [beside(drawings[i : i + 3], rng.uniform(0.02, 0.6, 3)) for i in range(0, 60, 3)]
    script = "all => all.map(one => readNumber(one).map(({ digit, accepted, box }) => [digit, accepted, box]))"
    for found, drawing in zip(opened().evaluate(script, numbers), numbers, strict=True):
        right = predictor.number(drawing).digits
        assert [(digit, accepted) for digit, accepted, _ in found] == [
            (d.prediction.digit, d.prediction.accepted) for d in right
        ]
        assert all(np.abs(np.subtract(box, d.box)).max() <= 1 for (_, _, box), d in zip(found, right, strict=True))


def beside(drawings, gaps):
    """Drawings side by side, 100 high, with gaps between them as shares of the height."""
    placed, left = [], 0.0
    for strokes, gap in zip(drawings, gaps, strict=True):
        low, high = (pick(np.concatenate(strokes), axis=0) for pick in (np.min, np.max))
        scale = 100 / max(*(high - low), 1)
        placed += [((np.array(stroke) - low) * scale + [left, 0]).tolist() for stroke in strokes]
        left += (high - low)[0] * scale + 100 * gap
    return placed


def test_a_stroke_that_leaves_the_paper_is_one_until_the_button_is_up(opened):
    page = opened()
    box = page.locator(PAPER).bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 40)
    page.mouse.down()
    for x, y in ((330, 60), (330, 200), (100, 260), (-20, 270)):
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    wait_for(page, "1 stroke: ")
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    assert ink_in_row(page, 217)[270]
    assert not ink_in_row(page, 20)[20]


def test_it_fits_a_phone_and_takes_a_finger_without_scrolling(opened):
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    box = page.locator(PAPER).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(PAPER).evaluate("e => getComputedStyle(e).touchAction") == "none"
    page.touchscreen.tap(box["x"] + 100, box["y"] + 100)
    wait_for(page, "1 stroke: ")
    dot = np.flatnonzero(ink_in_row(page, 100))
    assert dot[[0, -1]] == pytest.approx([100 - SIDE / 36, 100 + SIDE / 36], abs=2)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_drawing_of_the_run_is_replayed_to_the_predictors_answer(opened, predictor, motion):
    page = opened(reduced_motion=motion)
    page.clock.install(time=START)
    page.reload()
    page.clock.pause_at(START + timedelta(minutes=1))
    page.locator(".pad-replay").nth(1).click()
    shown_states = set()
    for _ in range(50):  # twentieths of a second by the page's own clock, however busy the machine is
        page.clock.run_for(50)
        shown_states.add(whole_answer(page))
    page.clock.resume()
    wait_for(page, "2 strokes: ")
    assert shown(page, "digit") == digit_shown(predictor.strokes(examples()[1]))
    assert len(shown_states) > 3 if motion == "no-preference" else len(shown_states) <= 2
    page.locator(".pad-replay").nth(0).click()
    page.locator(".pad-clear").click()
    page.locator(".pad-replay").nth(1).click()
    lab.draw(page, [[[0, 0], [1, 1]]], PAPER)
    wait_for(page, "1 stroke: " if motion == "no-preference" else "3 strokes: ")


def test_without_scripts_the_page_says_so(opened):
    assert "needs JavaScript" in shown(opened(java_script_enabled=False), "status")
