"""The pad in a real JupyterLab, in a real Chromium, drawn on with the mouse."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bench.accuracy.doodles import DOODLES, LETTERS
from bench.accuracy.pendigits import read_drawings
from bench.browser import lab
from bench.browser.screen import screenshot
from mnistlib.core.files import ROOT
from mnistlib.data.synthetic import examples
from mnistlib.inference.drawings import read_drawing
from mnistlib.inference.predictor import load_predictor

SAME = "text => document.querySelector('.sketchpad-bars').innerText.trim() === text"
DIFFERENT = SAME.replace("===", "!==")
PIXELS = """(left, top, width, height) => {
  const canvas = document.querySelector('.sketchpad-canvas canvas, canvas.sketchpad-canvas');
  const data = canvas.getContext('2d').getImageData(left, top, width ?? canvas.width, height ?? canvas.height).data;
  return data.filter((red, i) => i % 4 == 0 && red < 100 && data[i + 3] == 255).length; }"""  # bare canvas is no ink
FORTY_SEVEN = [
    *([(20, 0), (0, 60), (60, 60)], [(45, 20), (45, 100)]),
    [(110, 0), (170, 0), (135, 100)],
]
BLUE = (43, 108, 176)
INK = f"() => ({PIXELS})(0, 0)"
INKED = f"at => ({PIXELS})(2 * at, 2 * at, 1, 1)"


@pytest.fixture(scope="module")
def drawn_in(smoke, tmp_path_factory):
    """A project of this module's own, for what is drawn stays there."""
    return smoke.copy(tmp_path_factory.mktemp("lab") / "my project")


@pytest.fixture(scope="module")
def address(chromium, drawn_in):
    with lab.jupyter(drawn_in.folder) as address:
        yield address


@pytest.fixture
def new_page(address, browser):
    """An open pad, for a test that closes or reloads it."""
    with browser() as page:
        lab.open_pad(page, address)
        yield page


@pytest.fixture(scope="module")
def page(address, chromium):
    """An open pad for tests that leave it empty: the last ones, because all open pads have one kernel."""
    with lab.watched_page(chromium) as page:
        try:
            lab.open_pad(page, address)
            yield page
        finally:
            keep_screenshot(page, "pad-last")


def some_strokes(count: int):
    """Real pen strokes where they are at hand, else the copybook's."""
    strokes_file = os.environ.get("PEN_STROKES")
    if not strokes_file:
        return [[stroke.tolist() for stroke in drawing] for drawing in examples()[:count]]
    drawings = read_drawings(ROOT / strokes_file)
    return [[stroke.tolist() for stroke in d.strokes] for d in drawings[:: len(drawings) // count][:count]]


def keep_screenshot(page, name: str) -> None:
    folder = ROOT / "runs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))


def seen_pixels(page):
    """The 28x28 squares of what the model saw, as the screen shows them: three pixels each within a border of one."""
    page.locator(".sketchpad-saw").scroll_into_view_if_needed()
    box = page.locator(".sketchpad-saw").bounding_box()
    assert (box["width"], box["height"]) == (3 * 28 + 2, 3 * 28 + 2)
    columns, rows = ((box[axis] + 1 + 3 * np.arange(28) + 1.5).astype(int) for axis in ("x", "y"))
    return screenshot(page)[np.ix_(rows, columns)].astype(int)


def check_pixels(page, strokes, answer) -> None:
    """The screen shows the ink, what the model saw of it, the answer and its bar, and a label on every button."""
    canvas = screenshot(page.locator(lab.CANVAS))
    assert all(canvas[int(y / 2), int(x / 2)].max() < 100 for stroke in strokes for x, y in stroke)
    assert canvas[-5, -5].min() > 200
    assert np.abs(seen_pixels(page) - answer.image[..., None]).max() <= 1
    bar = screenshot(page.locator(".sketchpad-bar.best i"))
    assert np.abs(np.median(bar, axis=(0, 1)) - BLUE).max() <= 2
    assert bar.shape[1] == pytest.approx(150 * answer.probabilities.max(), abs=1)
    for part in page.locator(".sketchpad button, .sketchpad-digit").all():
        assert np.ptp(screenshot(part)) > 100, part.inner_text()


def drawings_in(project) -> list[Path]:
    return sorted(project.run("smoke").parent.glob("lab/data/inference/drawings/*/drawing.json"))


def test_it_fits_a_phone_in_notebook_7_and_takes_a_finger(address, browser):
    with browser(viewport={"width": 390, "height": 844}, has_touch=True) as page:
        lab.open_pad(page, address, lab.NOTEBOOK)
        box = page.locator(lab.CANVAS).bounding_box()
        assert abs(box["width"] - box["height"]) < 2
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        page.touchscreen.tap(box["x"] + 100, box["y"] + 100)
        page.wait_for_function("() => document.querySelector('.sketchpad-caption').innerText !== 'no ink yet'")
        page.wait_for_function(INKED, arg=100)
        assert np.ptp(seen_pixels(page)) > 200
        keep_screenshot(page, "pad-phone")


@pytest.mark.slow
@pytest.mark.parametrize(("app", "scheme"), [(lab.LAB, "dark"), (lab.NOTEBOOK, "dark")])
def test_every_widget_of_the_pad_is_visible(address, drawn_in, app, scheme, browser):
    predictor, strokes = load_predictor(drawn_in.run("smoke")), some_strokes(5)[3]  # no other test saves this one
    with browser(color_scheme=scheme) as page:
        lab.open_pad(page, address, app)
        lab.draw(page, strokes)
        page.keyboard.press(" ")
        said = lab.wait_status(page, "saved: ")
        (path,) = [path for path in drawings_in(drawn_in) if path.parent.name in said]
        kept = read_drawing(path).strokes
        check_pixels(page, kept, predictor.strokes(kept))
        keep_screenshot(page, f"pad-{app.partition('/')[0]}-{scheme}")
        assert (screenshot(page)[-20, 20].max() < 100) == (scheme == "dark")


@pytest.mark.slow
def test_undo_close_and_a_new_pad_after_reloading(new_page, address):
    page = new_page
    strokes = some_strokes(1)[0]
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    empty = lab.shown(page, "bars")
    lab.draw(page, strokes)
    page.wait_for_function(DIFFERENT, arg=empty)
    lab.wait_status(page, f"{len(strokes)} stroke")
    answer = lab.shown(page, "bars")
    lab.draw(page, [[[0, 0], [50, 100]]])
    lab.wait_status(page, f"{len(strokes) + 1} strokes")
    page.keyboard.press("z")
    lab.wait_status(page, "undone")
    page.wait_for_function(SAME, arg=answer)
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    page.keyboard.press("Escape")
    lab.wait_status(page, "closed")
    page.wait_for_selector(lab.CANVAS, state="detached")  # the words and the canvas's leaving are two messages
    lab.open_pad(page, address)
    lab.draw(page, strokes)
    page.wait_for_function(SAME, arg=answer)


@pytest.mark.slow
def test_a_reloaded_page_shows_the_drawing_and_goes_on(new_page):
    page = new_page
    page.on("dialog", lambda dialog: dialog.accept())
    lab.draw(page, [[[0, 0], [60, 10], [20, 100]]])
    lab.wait_status(page, "1 stroke")
    page.locator("[data-command='docmanager:save']").first.click()
    page.wait_for_timeout(2500)
    page.reload()
    page.wait_for_selector(lab.CANVAS, timeout=60_000, state="attached")
    page.wait_for_function(INK)
    before = page.evaluate(INK)
    page.locator(lab.CANVAS).scroll_into_view_if_needed()
    lab.draw(page, [[[0, 100], [100, 0]]])
    lab.wait_status(page, "2 strokes")
    page.wait_for_function(f"before => ({INK})() > before", arg=before)


def test_drawn_predicted_saved_and_labelled(page, drawn_in):
    predictor, there = load_predictor(drawn_in.run("smoke")), len(drawings_in(drawn_in))
    for number, strokes in enumerate(some_strokes(2)):
        before = drawings_in(drawn_in)
        lab.draw(page, strokes)
        page.keyboard.press(" ")
        said = lab.wait_status(page, "saved: ")
        (new,) = set(drawings_in(drawn_in)) - set(before)
        assert new.parent.name in said
        kept = read_drawing(new)
        assert len(kept.strokes) == len(strokes)
        assert all(
            len(mine) >= len(theirs) for mine, theirs in zip(kept.strokes, strokes, strict=True) if len(theirs) < 9
        )
        again = predictor.strokes(kept.strokes)
        assert (kept.digit, kept.accepted) == (again.digit, again.accepted)
        assert lab.shown(page, "digit") == (str(kept.digit) if kept.accepted else "?")
        check_pixels(page, kept.strokes, again)
        page.keyboard.press(" ")
        lab.wait_status(page, "already saved")
        page.locator(".sketchpad-labels button").nth(number).click()
        lab.wait_status(page, f"saved as a {number}")
        assert read_drawing(new).label == number
        kept_apart = drawn_in.folder / "runs" / "handwriting" / f"{kept.name}.json"
        assert json.loads(kept_apart.read_text())["label"] == number
        keep_screenshot(page, f"pad-{number}")
        page.keyboard.press("c")
        lab.wait_status(page, "cleared")
        assert lab.shown(page, "digit") == "?"
    assert len(drawings_in(drawn_in)) == there + 2


def test_two_digits_are_read_as_a_number_with_a_box_each(page, drawn_in):
    predictor = load_predictor(drawn_in.run("smoke"))
    lab.draw(page, FORTY_SEVEN[:2])
    lab.wait_status(page, "2 strokes")
    assert len(lab.shown(page, "digit")) == 1
    assert box_edges(page) == 0
    page.keyboard.press("c")
    lab.wait_status(page, "cleared")
    lab.draw(page, FORTY_SEVEN)
    lab.wait_status(page, "3 strokes")
    assert lab.shown(page, "digit") == predictor.number(FORTY_SEVEN).text
    assert lab.shown(page, "caption") == "2 digits"
    assert box_edges(page) == 4
    assert page.locator(".sketchpad-labels button:disabled").count() == 10
    keep_screenshot(page, "pad-number")
    page.keyboard.press(" ")
    lab.wait_status(page, "not saved: these are 2 digits")
    page.keyboard.press("c")
    lab.wait_status(page, "cleared")


def box_edges(page) -> int:
    """How often the blue of a box begins in the middle row of the pad, inside of the outline of its focus."""
    row = screenshot(page.locator(lab.CANVAS)).astype(int)[140, 6:-6]
    return int((np.diff((row[:, 2] - row[:, 0] > 60).astype(int)) == 1).sum())


@pytest.mark.slow
def test_letters_and_doodles_drawn_with_the_mouse_are_rejected(page):
    for strokes in (LETTERS["K"], LETTERS["M"], DOODLES["grid"], DOODLES["scrawl"]):
        lab.draw(page, strokes)
        lab.wait_status(page, f"{len(strokes)} stroke")
        page.wait_for_function("() => document.querySelector('.sketchpad-caption').innerText.includes('digit')")
        assert lab.shown(page, "digit") == "?"
        page.keyboard.press("c")
        lab.wait_status(page, "cleared")


def test_tab_leaves_the_paper(page):
    page.locator(lab.CANVAS).focus()
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.activeElement.innerText.startsWith('Save')")
