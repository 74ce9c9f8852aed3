"""Teaching: drawings are learnt, the rest is not forgotten, and the command makes a run of its own."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from mnistlib.cli import cli
from mnistlib.data.augmentation import Distortion
from mnistlib.data.loading import obtain
from mnistlib.data.synthetic import examples
from mnistlib.evaluation.metrics import accuracy, predict_logits
from mnistlib.inference.drawings import Drawing
from mnistlib.inference.fine_tune import FineTuneRecipe, augment_drawings, fine_tune, split_drawings
from mnistlib.pipeline import fine_tune_run
from mnistlib.training.loop import Recipe, fit
from mnistlib.training.model import Architecture, build
from mnistlib.training.tensor_dataset import TensorDataset
from mnistlib.training.trainer import floats_of

LABELS = (1, 7, 9)


def drawing(which: int, label: int, place: int = 0) -> Drawing:
    strokes = [(stroke + place).tolist() for stroke in examples()[which]]
    return Drawing(strokes, 0, [0.1] * 10, True, "abc", label, f"2026-01-{place + 1:02d}")


@pytest.fixture(scope="module")
def digits():
    raw = obtain("digits")
    train = TensorDataset.of(torch.device("cpu"), (raw.train_images, raw.train_labels))
    val = TensorDataset.of(torch.device("cpu"), (raw.test_images, raw.test_labels))
    network, _ = fit(
        build(Architecture((4, 8, 16), 32), 0), train, val, Recipe(epochs=4, batch_size=64, learning_rate=0.02), seed=0
    )
    return raw, train, network


def test_drawings_are_learnt_and_the_rest_is_not_forgotten(digits):
    raw, train, network = digits
    wanted = [drawing(which, (label + 3) % 10) for which, label in enumerate(LABELS)]
    before = [p.clone() for p in network.parameters()]
    tuned = fine_tune(
        network, augment_drawings(wanted, 8, 0), train, FineTuneRecipe(steps=150, learning_rate=0.01, share=1.0), seed=0
    )
    said = predict_logits(tuned, np.stack([d.image for d in wanted])).argmax(1)
    assert said.tolist() == [d.label for d in wanted]
    kept, was = (accuracy(predict_logits(n, raw.test_images), raw.test_labels) for n in (tuned, network))
    assert kept > was - 0.03
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_the_same_seed_gives_the_same_weights(digits):
    _, train, network = digits
    own = augment_drawings([drawing(0, 1)], 4, 0)
    first, again = (fine_tune(network, own, train, FineTuneRecipe(steps=5), seed=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_every_fourth_of_a_digit_is_held_out():
    drawings = [drawing(0, 1, place) for place in range(9)] + [drawing(1, 7, place) for place in range(3)]
    train, held_out = split_drawings(drawings)
    assert [(d.label, d.drawn_at[-2:]) for d in held_out] == [(1, "04"), (1, "08")]
    assert len(train) == 10


def keep(project, count: int) -> None:
    folder = project.folder / "runs" / "handwriting"
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        which = place % 3
        mine = drawing(which, LABELS[which], place)
        (folder / f"{mine.name}.json").write_text(json.dumps(vars(mine)))


@pytest.mark.slow
def test_make_teach_makes_a_run_of_its_own_that_infers_and_nothing_else(made, command):
    refused = command(made, "teach", RUN="smoke")
    assert refused.code == 2
    assert "too few" in refused.text
    keep(made, 15)
    done = made.make("teach", "RUN=smoke")
    assert done.code == 0, done.text
    assert "12 drawings learned" in done.text
    assert "test accuracy" in done.text
    scores = json.loads((made.run("smoke-taught") / "reports" / "teach.json").read_text())
    assert scores["drawings_held_back"] == 3
    page = (made.run("smoke-taught") / "reports" / "teach.html").read_text()
    assert "smoke-taught/reports/teach.html" in (made.run("smoke-taught").parent / "index.html").read_text()
    assert "data:image/png" in page
    assert not re.search(r'(src|href|action)="?http|<link|@import|url\(http', page)  # it loads nothing
    weights = (made.run("smoke-taught") / "models" / "pytorch_mnist_model.pth").read_bytes()
    whole = command(made, "resolve", RUN="smoke-taught")
    assert whole.code == 2
    assert "make infer" in whole.text
    inferred = made.make("infer", "RUN=smoke-taught")
    assert (inferred.code, inferred.stages) == (0, ["06_infer"]), inferred.text
    page_06 = (made.run("smoke-taught") / "reports" / "06_infer.html").read_text()
    assert 'class="verdict ok"' in page_06
    assert "scikit-learn" in page_06
    links = re.findall(r'href="(\w+\.html)"', page_06)
    assert set(links) == {"teach.html", "06_infer.html"}
    assert (made.run("smoke-taught") / "models" / "pytorch_mnist_model.pth").read_bytes() == weights
    assert "did you mean smoke?" in command(made, "teach", RUN="smkoe").text
    compared = command(made, "compare", A="smoke", B="smoke-taught")
    assert compared.code == 2
    assert "runs/smoke-taught/reports/teach.html" in compared.text
    shutil.rmtree(made.run("smoke-taught") / "reports")
    assert command(made, "resolve", RUN="smoke-taught").code == 2
    assert command(made, "resolve", GOAL="infer", RUN="smoke-taught", MAKEFLAGS="n").planned == ["06_infer"]
    assert (made.run("smoke-taught") / "models" / "pytorch_mnist_model.pth").read_bytes() == weights


def test_without_a_model_it_says_what_to_run(project, command):
    keep(project, 12)
    said = command(project, "teach", RUN="nothing")
    assert said.code == 2
    assert "make all RUN=nothing" in said.text
    project.run("nothing").mkdir()
    said = command(project, "teach", RUN="nothing")
    assert said.code == 2
    assert "03_train" in said.text


def test_an_interruption_is_reported_in_words(monkeypatch, capsys):
    def stop(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fine_tune_run, "existing_run", stop)
    assert cli.main(["teach"], standalone_mode=False) == 130
    assert capsys.readouterr().err == "\nnothing taught\n"


def test_the_drawings_are_augmented(digits):
    _, train, network = digits
    own = augment_drawings([drawing(0, 1)], 4, 0)
    augmented, plain = (
        fine_tune(network, own, train, recipe, seed=3)
        for recipe in (FineTuneRecipe(steps=3), FineTuneRecipe(steps=3, distortion=Distortion()))
    )
    assert not torch.equal(floats_of(augmented)[0], floats_of(plain)[0])
