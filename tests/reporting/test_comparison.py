"""Comparison of two runs: McNemar's test by hand, and the page of two real runs whose differences are planted."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mnistlib.cli import cli
from mnistlib.reporting.comparison import Comparison, Side, mcnemar, metric_rows, verdict
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


def test_mcnemar_by_hand():
    assert mcnemar(10, 2) == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert mcnemar(2, 10) == mcnemar(10, 2)
    assert mcnemar(3, 3) == 1
    assert mcnemar(0, 0) == 1


@pytest.fixture
def pair(made):
    """The smoke run beside a copy that has its mistakes right and as many other answers wrong, and five more."""
    first, second = made.run("smoke"), made.run("other")
    shutil.copytree(first, second)
    path = second / "reports" / "test_predictions.npz"
    with np.load(path) as kept:
        logits, labels = kept["logits"], kept["labels"]
    wrong = np.flatnonzero(logits.argmax(1) != labels)
    lost = np.setdiff1d(np.arange(len(labels)), wrong)[: len(wrong) + 5]
    logits[wrong, labels[wrong]] = 50
    logits[lost, (labels[lost] + 1) % 10] = 50
    np.savez(path, logits=logits, labels=labels)
    metrics = second / "metrics" / "04_evaluate.json"
    told = json.loads(metrics.read_text())
    metrics.write_text(json.dumps(told | {"test_nll": told["test_nll"] + 0.125}))
    parameters = second / "params" / "params.yaml"
    parameters.write_text(parameters.read_text().replace("seed: 0", "seed: 7"))
    for record in (second / "status").glob("0*.json"):
        record.write_text(record.read_text().replace('"seed": 0', '"seed": 7'))
    return made, len(wrong)


def test_the_page_says_what_differs(pair):
    made, won = pair
    done = made.make("compare", "A=smoke", "B=other")
    assert done.code == 0, done.text
    page = (made.folder / "runs" / "compare" / "smoke~other.html").read_text()
    p = f"p = {mcnemar(won + 5, won):.2g}"
    for text in (done.text, page):
        assert p in text
        assert f"only other classifies correctly: {won}; only smoke: {won + 5}." in text.replace("\n", " ")
    assert re.search(r">seed<.*?>0<.*?>7<", page, re.DOTALL)
    assert re.search(r">NLL<.*?>0\.1250<.*>test_nll<.*?>0\.1250<", page, re.DOTALL)
    assert "Correct only with smoke" in page
    assert page.count("data:image/png") == 4
    assert not re.search(r'(src|action)="?http|<link|@import|url\(http', page)  # it loads nothing


def test_a_run_beside_itself_is_refused(smoke, command):
    done = command(smoke, "compare", A="smoke", B="smoke")
    assert "A and B are both smoke" in done.text
    assert done.code == 2


def test_a_slip_in_a_name_is_seen(smoke, command):
    for name, words in (("compare", {"A": "smoke", "B": "smkoe"}), ("export", {"RUN": "smkoe"})):
        done = command(smoke, name, **words)
        assert "there is no runs/smkoe; did you mean smoke?" in done.text
        assert done.code == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("models/history.json", b"{}", "models/history.json is damaged"),
        ("models/history.json", b'{"epochs": [{"val_accuracy": 1}]}', "make train RUN=other"),
        ("data/processed/statistics.json", b"{}", "make preprocess RUN=other"),
        ("metrics/04_evaluate.json", b'{"test_accuracy": "x"}', "test_accuracy is 'x', which is not a number"),
        ("metrics/04_evaluate.json", b'{"test_accuracy": 1}', "make all RUN=other"),
        ("data/processed/test_images.npy", b"\x93NUMPY", "test_images.npy is not what 02_preprocess wrote"),
        ("reports/test_predictions.npz", b"\x80\x04junk", "missing or damaged: make evaluate RUN=other"),
    ],
)
@pytest.mark.parametrize("names", [("smoke", "other"), ("other", "smoke")])
def test_whichever_of_both_is_damaged_is_named(pair, monkeypatch, capsys, names, name, content, words):
    made, _ = pair
    monkeypatch.setattr(layout, "RUNS", made.folder / "runs")
    (made.run("other") / name).write_bytes(content)
    monkeypatch.setenv("A", names[0])
    monkeypatch.setenv("B", names[1])
    assert cli.main(["compare"], standalone_mode=False) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "pickle" not in told
    assert not (made.folder / "runs" / "compare").exists()


def test_what_cannot_be_compared_says_why(pair, command):
    made, _ = pair
    statistics = made.run("other") / "data" / "processed" / "statistics.json"
    told = json.loads(statistics.read_text())
    told["sha256"] = {name: value[::-1] for name, value in told["sha256"].items()}
    statistics.write_text(json.dumps(told))
    raw = made.run("other") / "data" / "raw.json"
    raw.write_text(json.dumps(json.loads(raw.read_text()) | {"title": "Other data"}))
    for names, words in (
        ({"B": "other"}, "runs/other on Other data"),
        ({"B": "nowhere"}, "nowhere"),
        ({}, "which runs?"),
        ({"B": "../smoke"}, "'../smoke'"),
        ({"B": "$(shell touch owned)"}, "touch owned"),
    ):
        done = command(made, "compare", A="smoke", **names)
        assert (done.code, words in done.text) == (2, True), done.text
        assert "Traceback" not in done.text
    assert not list(made.folder.rglob("owned"))
    assert not (made.folder / "runs" / "compare").exists()


def test_other_labels_of_the_same_pictures_are_other_pictures(pair, command):
    made, _ = pair
    statistics = made.run("other") / "data" / "processed" / "statistics.json"
    told = json.loads(statistics.read_text())
    (labels,) = (name for name in told["sha256"] if name.startswith("test_") and "label" in name)
    told["sha256"][labels] = told["sha256"][labels][::-1]
    statistics.write_text(json.dumps(told))
    done = command(made, "compare", A="smoke", B="other")
    assert (done.code, "different test sets" in done.text.replace("\n", " ")) == (2, True), done.text


@pytest.mark.slow
def test_the_answers_of_an_older_model_are_not_compared(pair):
    made, _ = pair
    done = made.make("train", "RUN=other", "SET=train.epochs=1 train.hidden=16")
    assert done.code == 0
    assert "test accuracy" not in done.text
    assert "has not been measured yet" in (made.run("other") / "models" / "README.md").read_text()
    done = made.make("compare", "A=smoke", "B=other")
    assert done.code == 2
    assert "has changed since it was evaluated: make evaluate RUN=other" in done.text


def test_damaged_predictions_are_named(pair, command):
    made, _ = pair
    (made.run("other") / "reports" / "test_predictions.npz").write_bytes(b"PK broken")
    done = command(made, "compare", A="smoke", B="other")
    assert done.code == 2
    assert "make evaluate RUN=other" in done.text


def test_the_better_run_is_named_whichever_it_is(tmp_path):
    a, b = (Side(Run(name, tmp_path), np.empty(0), {"m": m}, {}, []) for name, m in (("one", 2), ("two", 5)))
    for only_a, only_b, better in ((3, 1, "one"), (1, 3, "two")):
        c = Comparison(a, b, np.empty(0), np.empty(0), np.arange(only_a), np.arange(only_b), 0.5)
        assert f"{better} makes 2 fewer errors" in verdict(c)
        assert "could be due to chance" in verdict(c)
        assert "is statistically significant" in verdict(replace(c, p_value=0.049))
    assert metric_rows(c)[0]["B − A"] == 3
