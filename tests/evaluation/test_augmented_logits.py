"""The augmented copies that the temperature is fitted to: how strongly distorted they are, and how many."""

import json

import numpy as np
import pytest
import torch

from mnistlib.core.config import load_file
from mnistlib.data.augmentation import Distortion, distort
from mnistlib.data.loading import obtain
from mnistlib.data.preprocess import load_split
from mnistlib.evaluation.augmented_logits import FURTHER, load_distortion, predict_augmented
from mnistlib.evaluation.calibration import calibrate, load_calibration
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build, load_model, save_model

TRAINED = Distortion(12, 0.12, 0.12, 0.1, 0.25)


@pytest.fixture
def network():
    return build(Architecture((4, 8, 8), 16, 0.0, 10, 0.13, 0.31), seed=0).eval()


@pytest.fixture(scope="module")
def images():
    return obtain("digits").train_images[:1200]


def test_further_by_hand():
    assert TRAINED.further(1.5) == Distortion(18, pytest.approx(0.18), pytest.approx(0.18), pytest.approx(0.15), 0)


def test_every_picture_of_every_copy_is_distorted_differently(network, images):
    straight = predict_logits(network, images)
    first, second = predict_augmented(network, images, TRAINED, 2, seed=0)
    assert first.shape == second.shape == straight.shape
    assert first.dtype == np.float32
    for one, other in ((first, straight), (second, straight), (first, second)):
        assert (np.abs(one - other).max(1) > 1e-4).all()


def test_they_are_the_logits_of_pictures_distorted_by_hand(network, images):
    few = images[:50]
    (found,) = predict_augmented(network, few, TRAINED, 1, seed=3)
    whole = torch.from_numpy(few.astype(np.float32) / 255)[:, None]
    far = Distortion(12 * FURTHER, 0.12 * FURTHER, 0.12 * FURTHER, 0.1 * FURTHER)
    with torch.no_grad():
        expected = network(distort(whole, far, torch.Generator().manual_seed(3))).numpy()
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_seed_decides(network, images):
    copies = [predict_augmented(network, images, TRAINED, 2, seed) for seed in (0, 0, 1)]
    assert np.array_equal(copies[0], copies[1])
    assert not np.array_equal(copies[0], copies[2])


def test_without_augmentation_in_training_there_are_no_copies(network, images):
    assert predict_augmented(network, images, Distortion(undistorted=0.25), 12, 0) == []
    assert predict_augmented(network, images, TRAINED, 0, 0) == []


def test_the_description_of_the_model_holds_its_augmentation(network, monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    run = Run("r")
    save_model(run, network, {"distortion": vars(TRAINED)})
    assert load_distortion(run) == TRAINED
    described = json.loads(run.model_json.read_text())
    described["training"] = {"seed": 0}
    run.model_json.write_text(json.dumps(described))
    assert load_distortion(run).is_none


def test_the_pipeline_fits_its_temperature_to_them(smoke):
    run = Run("smoke", smoke.folder / "runs")
    p, network, val = load_file(run.params()), load_model(run), load_split(run, "val")
    t = p["train"]
    asked = Distortion(t["rotate"], t["shear"], t["scale"], t["shift"], t["undistorted"], t["background"])
    assert load_distortion(run) == asked
    augmented = predict_augmented(network, val.images, asked, p["evaluate"]["augmented_copies"], p["seed"])
    logits, allowed = predict_logits(network, val.images), p["evaluate"]["accepted_error"]
    found = load_calibration(run).temperature
    assert found == pytest.approx(calibrate(logits, val.labels, allowed, *augmented).temperature, rel=1e-3)
    assert found != pytest.approx(calibrate(logits, val.labels, allowed).temperature, rel=0.02)
