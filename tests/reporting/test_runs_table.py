"""The page of all runs, from runs of every kind, in a real browser where there is one."""

import json
import re

import pytest

from mnistlib.reporting.runs_table import FINE_TUNED_METRICS, HEIGHT, WIDTH, summarize, thumbnail, write_runs_table
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, runs_table_page
from mnistlib.runs.stages import REQUIRED_METRICS, STAGE
from mnistlib.training.history import Epoch, save_history
from tests.records import keep_record

EVIL = '<script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>"&'


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A whole run, a failed one, one of odd words, and folders that are none."""
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    for place, (name, accuracy) in enumerate([("good", 0.995), ("middling", 0.97), ("odd", 0.985)]):
        run = Run(name)
        for stage in STAGE:
            keep_record(run, stage, "failed" if (name, stage) == ("middling", "05_features") else "ok")
        measured = dict.fromkeys(REQUIRED_METRICS["04_evaluate"], 0)
        measured |= {"test_accuracy": accuracy, "test_accuracy_low": 0.9}
        own = {"handwriting_count": 9, "handwriting_right": 5 + place} if place else {}
        run.write_metrics("04_evaluate", measured | own)
        save_history(run, [Epoch(i, 1, 0.9, 1, 0.9 + i * place / 50, 0.1, 1) for i in (0, 1)])
        write_runs_table(run)
    told = json.loads(Run("odd").summary.read_text())
    Run("odd").summary.write_text(json.dumps(told | {"dataset": EVIL, "differing": [EVIL], "verdict": EVIL}))
    for folder, text in (
        ("foreign", "[]"),
        ("half", '{"verdict'),
        ("older", '{"verdict": "ok"}'),
        ("a b", "{}"),
        ("numbers", '{"verdict": 1, "metrics": 2}'),
    ):
        (tmp_path / folder / "status").mkdir(parents=True)
        (tmp_path / folder / "status" / "summary.json").write_text(text)
    won = dict.fromkeys(FINE_TUNED_METRICS, 0) | {
        "held_back_right_before": 3,
        "held_back_right_after": 8,
        "fine_tuned_from": EVIL,
    }
    won["teach_seconds"] = 1.5
    for folder, text in (
        ("good-taught", json.dumps(won | {"test_accuracy_before": 0.9912, "test_accuracy_after": 0.9876})),
        ("half-taught", json.dumps(won)[:40]),
        ("a b taught", json.dumps(won)),
        ("numbers-taught", json.dumps(won | {"drawings_learned": "many"})),
    ):
        (tmp_path / folder / "reports").mkdir(parents=True)
        (tmp_path / folder / "reports" / "teach.json").write_text(text)
    write_runs_table(Run("good"))
    return runs_table_page()


def test_runs_are_listed_and_other_folders_are_not(runs):
    text = runs.read_text()
    assert sorted(re.findall(r'href="([^"]+)/reports/index.html"', text)) == ["good", "middling", "odd"]
    assert "05_features failed" in text
    for name, why in (
        ("foreign", "does not hold a mapping"),
        ("half", "cannot be read ("),
        ("older", "of another version at dataset"),
    ):
        assert re.search(f"<td>{name}</td>.*{re.escape(why)}", text.replace("\n", "")), name
    assert "99.50 %" in text
    assert sorted(re.findall(r"\d of 9", text)) == ["6 of 9", "7 of 9"]
    assert text.count("data:image/svg+xml") == 2 + 1


def test_fine_tuned_runs_are_listed_with_their_accuracy_before_and_after(runs):
    text = runs.read_text()
    assert re.findall(r'href="([^"]+)/reports/teach.html"', text) == ["good-taught"]
    figures = re.findall(r'class="number">([^<]+)</td>', text.partition("<h2>Fine-tuned runs")[2])
    assert figures == ["0", "3 → 8 of 0", "99.12 → 98.76 %"]
    assert EVIL not in text


def test_without_fine_tuned_runs_their_table_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    write_runs_table(Run("r"))
    assert "ine-tuned" not in runs_table_page().read_text().partition("<body>")[2]


def test_a_run_in_progress_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    keep_record(Run("r"), "01_data")
    assert (summarize(Run("r"))["verdict"], summarize(Run("r"))["ok"]) == ("1 of 6 stages", True)


def test_curves_of_no_or_odd_numbers_are_left_out():
    assert thumbnail([]) == thumbnail([0.1]) == thumbnail([0.1, float("nan")]) == ""
    assert thumbnail([0.1, 0.1])


def test_text_is_shown_and_never_run_and_headings_sort(runs, browser):
    with browser() as page:
        page.goto(runs.as_uri())
        assert page.title() == "all runs · digit classifier"
        assert EVIL in page.locator("tbody").first.text_content()
        assert EVIL in page.locator("tbody").last.text_content()
        column = page.locator("table").first.locator("tbody tr td:nth-child(3)")
        page.click("text=test accuracy")
        assert [text[:7] for text in column.all_text_contents() if text] == ["99.50 %", "98.50 %", "97.00 %"]
        page.click("text=test accuracy")
        assert [text[:7] for text in column.all_text_contents() if text] == ["97.00 %", "98.50 %", "99.50 %"]
        assert page.title() == "all runs · digit classifier"
        page.emulate_media(media="print")
        assert page.locator("th", has_text="test accuracy").first.inner_text() != ""


def test_all_columns_are_seen_on_a_desktop_and_the_accuracy_on_a_phone(runs, browser):
    for name in ("odd", "half"):
        (runs.parent / name / "status" / "summary.json").unlink()
    write_runs_table(Run("good"))
    with browser() as page:
        for width, last in ((1280, "th:last-child"), (390, "th:nth-child(3)")):
            page.set_viewport_size({"width": width, "height": 844})
            page.goto(runs.as_uri())
            box = page.locator(last).first.bounding_box()
            assert box["x"] + box["width"] <= width


def test_thumbnails_keep_their_size_on_a_phone(runs, browser):
    with browser() as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(runs.as_uri())
        box = page.locator("td img").first.bounding_box()
        assert (box["width"], box["height"]) == (WIDTH, HEIGHT)
