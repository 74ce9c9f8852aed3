"""Looking into a run on its front page, in a real browser: each answer against what NumPy finds in the run's files."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from mnistlib.reporting.explorer import LARGEST_SHEET, explore_data, make_sheet
from mnistlib.reporting.front_page import write_index
from mnistlib.reporting.pages import TEMPLATES
from mnistlib.reporting.plots.style import DIGIT_COLORS
from mnistlib.runs import layout, state
from mnistlib.runs.layout import Run

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Kept:
    """What the run's files hold, read without the library."""

    def __init__(self, run):
        with np.load(run / "reports" / "test_predictions.npz") as kept:
            logits, self.labels = kept["logits"].astype(float), kept["labels"].astype(int)
        with np.load(run / "reports" / "embeddings" / "tsne.npz") as kept:
            self.points, self.indices = kept["points"], kept["indices"]
        found = json.loads((run / "models" / "calibration.json").read_text())
        powers = np.exp(logits / found["temperature"])
        self.confidence, self.said = (powers / powers.sum(1, keepdims=True)).max(1), logits.argmax(1)
        self.like = logits.max(1) - logits.mean(1) >= found["ood_threshold"]
        self.threshold, self.images = found["threshold"], np.load(run / "data" / "processed" / "test_images.npy")
        self.order = sorted(range(len(self.labels)), key=lambda i: -self.confidence[i])


@pytest.fixture
def kept(smoke):
    return Kept(smoke.run())


@pytest.fixture
def opened(smoke, browser):
    """The front page of the smoke run."""
    with browser() as page:
        page.goto((smoke.run() / "reports" / "index.html").as_uri())
        yield page


def numbers(page, place):
    """The numbers in the test part of the pictures in a strip."""
    return [int(text.split("·")[1]) for text in page.locator(f"{place} .shot small").all_text_contents()]


def test_on_paper_the_still_figures_stand_where_nothing_can_be_clicked(opened):
    still, moving = "#confusion_matrix .scroll img", "#confusion_matrix .explore"
    assert (opened.is_visible(still), opened.is_visible(moving)) == (False, True)
    opened.emulate_media(media="print")
    assert (opened.is_visible(still), opened.is_visible(moving)) == (True, False)


@pytest.mark.parametrize(("scheme", "paper"), [("light", (255, 255, 255)), ("dark", (20, 24, 30))])
def test_a_figure_lies_on_the_page_s_own_paper_by_day_and_by_night(opened, scheme, paper):
    opened.emulate_media(color_scheme=scheme)
    seen = np.asarray(Image.open(io.BytesIO(opened.locator("#mistakes img").screenshot())).convert("RGB")).astype(int)
    assert tuple(np.median(seen.reshape(-1, 3), axis=0)) == paper  # most of it is empty
    ink = max(seen.reshape(-1, 3), key=lambda color: abs(color - paper).sum())
    assert (ink.min() > 200) if scheme == "dark" else (ink.max() < 60)


def test_a_click_on_a_confusion_shows_its_pictures(opened, kept):
    wrong = [(label, said) for label, said in zip(kept.labels, kept.said, strict=True) if label != said]
    label, said = wrong[0]
    opened.click(f"[aria-label^='{label} classified as {said}:']")
    expected = [i for i in kept.order if (kept.labels[i], kept.said[i]) == (label, said)]
    assert numbers(opened, "#confusion_matrix") == expected[:24]
    opened.focus("[aria-label^='7 classified correctly:']")
    opened.keyboard.press("Enter")
    right = [i for i in kept.order if kept.labels[i] == kept.said[i] == 7]
    assert numbers(opened, "#confusion_matrix") == right[::-1][:24]
    assert f"{len(right)} images" in opened.text_content("#confusion_matrix [aria-live]")
    assert opened.locator("#confusion_matrix img").is_hidden()


def test_pointing_at_the_map_shows_the_picture_there(opened, kept):
    opened.locator("svg.map").scroll_into_view_if_needed()
    box = opened.locator("svg.map").bounding_box()
    low, high = kept.points.min(0), kept.points.max(0)
    spread = (high - low).max()
    apart = np.hypot(*(kept.points[:, None] - kept.points[None]).astype(float).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    for place in np.argsort(apart.min(1))[-3:]:  # the loneliest, at which nothing else can be meant
        x, y = ((kept.points[place].astype(float) - (low + high) / 2) / float(spread) * 0.96).tolist()
        opened.mouse.move(box["x"] + box["width"] * (0.5 + x), box["y"] + box["height"] * (0.5 - y))
        told = opened.text_content("#tsne_plot .selected")
        i = kept.indices[place]
        assert told.startswith(f"no. {i}: {kept.labels[i]}, ")
        assert float(re.search(r"confidence ([\d.]+) %", told)[1]) == pytest.approx(100 * kept.confidence[i], abs=0.06)
        assert ("correctly" in told) == (kept.labels[i] == kept.said[i])
    opened.focus("svg.map")
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("ArrowRight")
    assert opened.text_content("#tsne_plot .selected") != ""
    opened.click(".legend button:nth-child(4)")
    assert opened.locator("circle.dim").count() == (kept.labels[kept.indices] != 3).sum()


def test_sliding_the_threshold_tells_coverage_and_errors(opened, kept):
    opened.focus("#threshold")
    for key, moves in (("ArrowRight", 0), ("ArrowRight", 3), ("Home", 1), ("End", 1)):
        for _ in range(moves):
            opened.keyboard.press(key)
        value = opened.evaluate("() => Number(document.querySelector('#threshold').value)")
        at = explore_at(opened, value)
        accepted = kept.like & (kept.confidence >= at)
        wrong = accepted & (kept.labels != kept.said)
        told = opened.text_content("#threshold-result").replace(",", "")
        assert told.startswith(f"Accepted: {accepted.sum()} of {len(accepted)}"), told
        if accepted.any():
            count, share = re.search(r" (\d+) of them wrong \(([\d.]+) %\)", told).groups()
            assert int(count) == wrong.sum()
            assert float(share) == pytest.approx(100 * wrong.sum() / accepted.sum(), abs=0.0051)
        refused = [i for i in kept.order if kept.like[i] and kept.confidence[i] < at][:12]
        mistaken = [i for i in kept.order if wrong[i]][:24]
        assert numbers(opened, "#risk_coverage") == refused + mistaken
        if not moves:
            assert at == kept.threshold
    opened.click("text=Reset to the calibrated value")
    shown = float(opened.text_content("output").removesuffix(" %"))
    assert 100 * kept.threshold <= shown < 100 * kept.threshold + 0.01


def explore_at(page, step):
    text = page.text_content("#explore-data")
    return json.loads(text)["thresholds"][step]


def test_the_sheet_holds_the_test_pictures(smoke, kept):
    data = explore_data(Run("smoke", smoke.folder / "runs"))
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["sheet"]))).convert("L")).astype(int)
    for place, (index, *_) in enumerate(data["images"]):
        row, column = divmod(place, data["columns"])
        shown = sheet[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        assert np.abs(255 - shown - kept.images[index]).max() <= 9
    assert len(data["steps"]) == len(data["thresholds"])


def test_many_grey_pictures_stay_within_bounds():
    soft = np.random.default_rng(0).integers(0, 64, (2600, 28, 28)).astype(np.uint8)
    assert len(make_sheet(soft)) < 1.1 * LARGEST_SHEET


def test_colours_are_those_of_the_figures():
    assert re.findall("#[0-9a-f]{6}", (TEMPLATES / "explorer.js").read_text()) == list(DIGIT_COLORS)


def test_without_a_script_the_figures_stand(smoke, browser):
    with browser(java_script_enabled=False) as page:
        page.goto((smoke.run() / "reports" / "index.html").as_uri())
        for name in ("confusion_matrix", "tsne_plot", "risk_coverage"):
            assert page.locator(f"#{name} img").is_visible()
        assert page.locator(".explore").count() == 0


def test_a_tap_on_a_phone_is_enough_and_nothing_is_cut(smoke, browser):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with browser(**phone) as page:
        page.goto((smoke.run() / "reports" / "index.html").as_uri())
        page.locator("svg.map").scroll_into_view_if_needed()
        point = page.locator("svg.map circle").first.bounding_box()
        page.touchscreen.tap(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        assert page.text_content("#tsne_plot .selected").startswith("no. ")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        assert page.locator("table.stages").bounding_box()["width"] <= 390 - 2 * 20


def test_hostile_words_in_a_run_are_shown_as_text(smoke, tmp_path, monkeypatch, browser):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    shutil.copytree(smoke.run(), tmp_path / "r")
    run = Run("r")
    for path in (run.raw_json, run.processed / "statistics.json"):
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"title": EVIL, "classes": [EVIL, *told["classes"][1:]]}))
    record = json.loads(run.status("01_data").read_text())
    record["inputs"]["parameters"]["local_dir"] = EVIL
    run.status("01_data").write_text(json.dumps(record))
    monkeypatch.setattr(state, "is_outdated", lambda run, record, asked: False)
    write_index(run)
    with browser() as page:
        page.goto(run.index.as_uri())
        assert page.title() == "r · classifier"
        assert page.locator("th[scope=row]").first.text_content() == EVIL
        assert f"data.local_dir = {EVIL}" in page.text_content("main")


def test_a_run_that_has_not_come_so_far_has_no_data(tmp_path, monkeypatch, smoke):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    assert explore_data(Run("r")) == {}
    shutil.copytree(smoke.run(), tmp_path / "r")
    assert explore_data(Run("r"))["count"] == 360
    Run("r").tsne.write_bytes(b"PK\x03\x04 broken")
    assert explore_data(Run("r")) == {}
    write_index(Run("r"))
    assert "explore-data" not in Run("r").index.read_text()
