"""The model card: its headings, its words for each dataset, its numbers, and what a hostile run may put into it."""

import json
import re

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.data.datasets import DATASETS
from mnistlib.evaluation.corruptions import CORRUPTIONS
from mnistlib.reporting.card_facts import class_rows, datasheets, lead, load_facts
from mnistlib.reporting.front_page import write_card, write_index
from mnistlib.reporting.model_card import make_card
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import REQUIRED_METRICS
from tests.records import describe_model, keep_record

EVIL = '<script>document.title="owned"</script> [x](javascript:owned) `a` **b** | c\n\n# d'
HEADINGS = (
    "Model details", "Intended use", "Out-of-scope use", "Factors", "Metrics", "Training data", "Evaluation data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
)  # fmt: skip


def trained(dataset="mnist", fallback=False, **more):
    """A run that holds what a card is made of."""
    run = Run("made")
    measured = dict.fromkeys(REQUIRED_METRICS["03_train"], 1)
    measured |= {"train_seconds": 1.25, "epochs": 2, "train_device": "cpu"}
    for path, content in (
        (run.raw_json, {"dataset": dataset, "fallback": fallback, "title": DATASETS[dataset].title, "source": "raw"}),
        (
            run.model_json,
            describe_model(parameters=12345, training={"pictures": 777}),
        ),
        (run.metrics("03_train"), measured | more),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    run.params().parent.mkdir(exist_ok=True)
    run.params().write_text("seed: 5\ndata: {dataset: mnist}\n")
    keep_record(run, "03_train", parameters={"seed": 5}, commit=more.get("code", "abc"))
    return run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)


@pytest.mark.parametrize("lost", ["format", "parameters", "training"])
def test_of_a_damaged_description_there_is_no_card(lost):
    run = trained()
    described = json.loads(run.model_json.read_text())
    run.model_json.write_text(json.dumps({name: value for name, value in described.items() if name != lost}))
    with pytest.raises(RunError, match=r"model\.json"):
        load_facts(run)


def words(run):
    facts = load_facts(run)
    return lead(facts) + str(make_card(facts))


def test_a_whole_run_has_its_card_under_the_usual_headings_on_the_page_and_beside_the_model(smoke):
    page, card = (smoke.run() / name for name in ("reports/index.html", "models/README.md"))
    metrics = json.loads((smoke.run() / "reports" / "metrics.json").read_text())
    worst = max(metrics[f"corrupted_error_{name}"] for name in CORRUPTIONS)
    for text in (page.read_text(), card.read_text()):
        assert not [heading for heading in HEADINGS if heading not in text]
        assert f"{metrics['test_errors']} of {metrics['test_count']}" in text
        assert f"{100 * metrics['test_accuracy']:.2f} % (95 % interval" in text
        assert f"{100 * worst:.1f} %" in text
    assert "Thirteen people" in card.read_text()


def test_every_dataset_has_words_of_its_own():
    assert set(datasheets()) == set(DATASETS)
    assert "United States" in words(trained("mnist"))
    for dataset in ("fashion_mnist", "kmnist"):
        text = words(trained(dataset))
        assert DATASETS[dataset].title in text
        assert DATASETS[dataset].classes[0] in text
        for wrong in ("digit", "United States", "Census", "draw on a screen"):
            assert wrong not in text.replace(DATASETS["mnist"].title, ""), (dataset, wrong)


def test_the_fallback_says_what_was_asked_for():
    assert "MNIST was requested and could not be found" in words(trained("digits", fallback=True))
    assert "requested" not in words(trained("digits"))


def test_numbers_are_the_runs_own():
    text = words(trained(test_accuracy=0.5, test_accuracy_low=0.25, test_accuracy_high=0.75, test_errors=4321,
                         test_count=8642, test_ece=0.1111, test_ece_by_chance=0.0777, test_nll=0.2222,
                         test_coverage=0.625, test_accepted_errors=17, corrupted_error_mean=0.3,
                         corrupted_error_restored_mean=0.2, corrupted_error_fog=0.9,
                         corrupted_error_shear=0.1, corrupted_error_restored_fog=0.99,
                         handwriting_count=40, handwriting_right=39, ood_accepted_letters=0.07))  # fmt: skip
    for number in ("12,345", "777", "1.2 s, 2 epochs", "50.00 %", "4,321 of 8,642", "11.11 %", "7.77 %", "0.2222",
                   "62.5 %", "17 of them", "30.0 %, 20.0 % restored", "fog, 90.0 %", "39 of 40",
                   "7.0 %"):  # fmt: skip
        assert number in text, number


def test_classes_are_counted_as_by_hand():
    run, labels = Run("made"), np.array([0, 0, 0, 1, 1, 2])
    run.test_predictions.parent.mkdir(parents=True)
    run.write_metrics("04_evaluate", {})
    np.savez(run.test_predictions, labels=labels, logits=np.eye(3)[[0, 0, 1, 1, 1, 0]])
    assert [row[:4] for row in class_rows(run, ("a", "b", "c"))] == [
        ("a", "3", "1", "66.67 %"), ("b", "2", "0", "100.00 %"), ("c", "1", "1", "0.00 %"),
    ]  # fmt: skip
    run.test_predictions.write_bytes(b"PK\x03\x04 broken")
    assert class_rows(run, ("a", "b", "c")) == []


def test_the_card_says_how_pictures_were_distorted_and_which_were_not():
    run, limits = trained(), {"seed": 5, "rotate": 12.0, "shear": 0.1, "scale": 0.1, "shift": 0.2}
    keep_record(run, "03_train", parameters=limits | {"undistorted": 0.25})
    assert "rotation up to 12°, shear up to 0.1, scaling up to 10 %, shift up to 10 % of the width" in words(run)
    assert "25 % of the images stay unchanged" in words(run)
    keep_record(run, "03_train", parameters=limits | {"undistorted": 0.0, "background": 0.1})
    assert "10 % are laid on a random background" in words(run)
    assert "rotation up to 12°" in words(run)
    assert "unchanged" not in words(run)
    none = dict.fromkeys(("rotate", "shear", "scale", "shift"), 0.0)
    keep_record(run, "03_train", parameters=limits | none | {"undistorted": 0.25})
    assert "rotation" not in words(run)


def test_what_was_learnt_from_besides_is_not_passed_over():
    both = trained(synthetic_ink_count=7, outliers_count=5)
    assert "trained on 777 images of MNIST and 12 synthetic images." in words(both)
    assert "trained on 777 images of MNIST." in words(trained(synthetic_ink_count=0, outliers_count=0))


def test_what_was_not_measured_is_not_said_to_be():
    assert "class of the image: not measured in this run" in words(trained())
    assert "belong to none of the 10 classes: not measured in this run" in words(trained())
    assert "belong to none of the 10 classes: measured below" in words(trained(ood_accepted_letters=0.5))
    assert "04_evaluate has not run with this model" in words(trained())
    assert "1.2 s, 2 epochs, cpu" in words(trained())
    assert "1.2 s, 1 epoch, cpu" in words(trained(epochs=1))


@pytest.mark.parametrize(
    ("dataset", "frames"), [("digits", "MNIST"), ("mnist", "MNIST"), ("fashion_mnist", "Fashion-MNIST")]
)
def test_pictures_are_framed_as_they_are(dataset, frames):
    assert words(trained(dataset)).count(f"framed as in {frames}") == words(trained(dataset)).count("framed as in") == 2


def test_a_run_not_trained_has_a_page_without_a_card():
    with pytest.raises(RunError, match="01_data"):
        load_facts(Run("made"))
    write_index(Run("made"))
    assert "Model card" not in Run("made").index.read_text()
    assert not Run("made").card.exists()


def test_text_of_a_hostile_run_stays_text():
    import mistune

    run = trained(train_device=EVIL, code=EVIL)
    write_card(run)
    html = mistune.html(run.card.read_text())
    assert "owned" in html
    for made in ("<script", "<code>a", "<strong>", "<h1>d"):
        assert made not in html, made
    ours = {address for section in make_card(load_facts(run)) for _, address in section.links}
    assert set(re.findall(r'<a href="([^"]*)"', html)) == ours
    assert EVIL.split()[0] not in run.card.read_text()
    write_index(run)
    assert "<script>document.title" not in run.index.read_text()
