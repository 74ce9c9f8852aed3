"""Errors on corrupted images, against counts by hand."""

import numpy as np
import pytest
import torch

from mnistlib.data.augmentation import Distortion
from mnistlib.data.sklearn_digits import load_digits
from mnistlib.evaluation import robustness as rob
from mnistlib.evaluation.corruptions import CORRUPTIONS, corrupt
from mnistlib.evaluation.metrics import embed, predict_logits
from mnistlib.imaging.restoration import restore_digits
from mnistlib.reporting.plots.robustness import plot_corruptions
from mnistlib.training.model import Architecture, build


@pytest.fixture(scope="module")
def digits():
    _, _, images, labels = load_digits()
    return images[:60], labels[:60]


@pytest.fixture(scope="module")
def network():
    """Random but for its last layer, which takes a picture for the class whose mean embedding is nearest."""
    images, labels, _, _ = load_digits()
    network = build(Architecture((4, 8, 16), 32), 0)
    embeddings = embed(network, images)
    means = torch.from_numpy(np.stack([embeddings[labels == digit].mean(0) for digit in range(10)]))
    last = network.head[-1]
    last.weight.data, last.bias.data = means, -(means**2).sum(1) / 2
    return network


@pytest.fixture(scope="module")
def rows(network, digits):
    return rob.robustness_rows(network, *digits, Distortion(12, 0.12, 0.12, 0.1), seed=5)


def test_rows_are_the_networks_own_errors(network, digits, rows):
    images, labels = digits
    assert [row["corruption"] for row in rows] == list(CORRUPTIONS)
    for row in rows:
        corrupted = corrupt(images, row["corruption"], 5)
        wrong = (predict_logits(network, corrupted).argmax(1) != labels).sum()
        right = (predict_logits(network, restore_digits(corrupted)).argmax(1) == labels).sum()
        assert row[rob.AS_IT_IS] == pytest.approx(wrong / 60)
        assert row[rob.RESTORED] == pytest.approx(1 - right / 60)
    assert len({row["error"] for row in rows}) > 5
    assert {row["corruption"] for row in rows if row["in training"]} == {"shear", "scale", "rotate", "translate"}


def test_only_what_training_did_was_in_the_training(network, digits):
    images, labels = digits
    for trained, learnt in (
        (Distortion(), set()),
        (Distortion(rotate=8, shift=0.1), {"rotate", "translate"}),
        (Distortion(background=0.1), {"brightness", "fog"}),
    ):
        rows = rob.robustness_rows(network, images[:2], labels[:2], trained, 5)
        assert {row["corruption"] for row in rows if row["in training"]} == learnt


def test_metrics_are_means_over_the_corruptions_and_each_ones_own():
    rows = [
        {"corruption": "fog", "in training": False, rob.AS_IT_IS: 0.5, rob.RESTORED: 0.25},
        {"corruption": "scale", "in training": True, rob.AS_IT_IS: 0.1, rob.RESTORED: 0.05},
    ]
    assert rob.robustness_metrics(rows) == {
        "corrupted_error_mean": pytest.approx(0.3),
        "corrupted_error_restored_mean": pytest.approx(0.15),
        "corrupted_error_fog": 0.5,
        "corrupted_error_scale": 0.1,
        "corrupted_error_restored_fog": 0.25,
        "corrupted_error_restored_scale": 0.05,
    }


def test_no_pictures_give_no_rows_no_metrics_and_still_a_figure(network, digits):
    images, labels = digits
    none = rob.choose_subset(len(labels), 0, 0)
    rows = rob.robustness_rows(network, images[none], labels[none], Distortion(), 0)
    assert rows == []
    assert rob.robustness_metrics(rows) == {}
    assert len(plot_corruptions(rob.corrupt_each_way(images[0], 0), rows).axes) == 15


def test_choice_is_by_chance_without_repetition_and_at_most_all():
    chosen = rob.choose_subset(1000, 300, 0)
    assert len(np.unique(chosen)) == 300
    assert 350 < np.median(chosen) < 650
    assert np.array_equal(rob.choose_subset(50, 300, 0), np.arange(50))


def test_figure_shows_every_picture_with_its_error(digits, rows):
    examples = rob.corrupt_each_way(digits[0][0], 0)
    figure = plot_corruptions(examples, rows)
    *pictures, bars = figure.axes
    for axes, example, row in zip(pictures, examples, rows, strict=True):
        assert np.array_equal(axes.images[0].get_array(), example)
        assert axes.get_xlabel() == f"{100 * row['error']:.1f} %"
    heights = [bar.get_height() for bar in bars.patches]
    assert heights == pytest.approx([100 * row[k] for k in (rob.AS_IT_IS, rob.RESTORED) for row in rows])
