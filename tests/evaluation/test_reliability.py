"""Calibration error and coverage against sums done by hand, and SciPy."""

import numpy as np
import pytest
from scipy.special import log_softmax

from mnistlib.evaluation.calibration import Calibration, rejection_reason
from mnistlib.evaluation.metrics import softmax
from mnistlib.evaluation.reliability import confidence_metrics, ece, ece_by_chance, reliability_bins, risk_coverage
from mnistlib.reporting.plots.evaluation import plot_risk_coverage
from tests.evaluation.test_calibration import world


def test_a_calibrated_world_has_next_to_no_ece_and_another_has():
    logits, labels = world(2.0)
    assert ece(reliability_bins(softmax(logits, 2.0), labels, 15)) < 0.01
    assert ece(reliability_bins(softmax(logits), labels, 15)) > 0.1


def test_ece_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    bins = reliability_bins(probabilities, np.array([0, 1, 0, 0]), 10)
    assert [b.count for b in bins] == [2, 2]
    assert ece(bins) == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)


def test_chance_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    unsure, sure = reliability_bins(probabilities, np.array([0, 1, 0]), 10)
    assert unsure.chance == pytest.approx(np.sqrt(0.6 * 0.4))
    assert sure.chance == pytest.approx(np.sqrt(2 * 0.9 * 0.1) / 2)
    expected = np.sqrt(2 / np.pi) * (np.sqrt(0.24) + np.sqrt(0.18)) / 3
    assert ece_by_chance([unsure, sure]) == pytest.approx(expected)


def test_labels_drawn_from_the_confidence_itself_have_the_ece_of_chance():
    logits, _ = world(1.0, 3000)
    probabilities, generator = softmax(logits), np.random.default_rng(1)
    drawn = [
        reliability_bins(probabilities, (generator.random((3000, 1)) > probabilities.cumsum(1)).sum(1), 15)
        for _ in range(100)
    ]
    assert np.mean([ece(bins) for bins in drawn]) == pytest.approx(ece_by_chance(drawn[0]), rel=0.05)


def test_the_coverage_of_the_test_set_needs_both_thresholds():
    logits, labels = world(1.0)
    for found in (Calibration(1.0, 1.1, 0.0, 1.0, 0.0), Calibration(1.0, 0.0, 1e9, 1.0, 0.0)):
        assert confidence_metrics(logits, labels, found, 15)["test_coverage"] == 0


def test_what_is_accepted_stands_where_it_is_and_not_upon_the_curve():
    coverage, risk = np.arange(1, 201) / 200, np.zeros(200)
    (axes,) = plot_risk_coverage(coverage, risk, accepted=0.8, wrong=4).axes
    curve, point = axes.get_lines()
    assert len(curve.get_xdata()) == 200
    assert (*point.get_xdata(), *point.get_ydata()) == pytest.approx((80, 100 * 4 / 160))
    assert plot_risk_coverage(coverage, risk, 0.0, 0).axes[0].get_lines()[1].get_ydata() == [0]


def test_risk_coverage_by_hand():
    coverage, risk = risk_coverage(np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), np.array([0, 0, 0]))
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3])


def test_error_among_the_most_confident_by_hand():
    confidence = np.linspace(0.95, 0.55, 100)  # the most confident first
    wrong = np.isin(np.arange(100), [10, 97, 98, 99])
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    metrics = confidence_metrics(logits, wrong.astype(int), Calibration(1.0, 0.0, 0.0, 1.0, 0.0), 15)
    assert metrics["test_error_at_99_coverage"] == pytest.approx(3 / 99)
    assert metrics["test_error_at_98_coverage"] == pytest.approx(2 / 98)


def test_the_test_sets_metrics_are_those_of_the_temperature_and_of_the_accepted():
    logits, labels = world(2.0, 2000)
    found = Calibration(2.0, 0.6, 3.0, 1.0, 0.0)
    metrics = confidence_metrics(logits, labels, found, 15)
    for name, t in (("test_nll", 2.0), ("test_nll_uncalibrated", 1.0)):
        assert metrics[name] == pytest.approx(-log_softmax(logits / t, axis=1)[np.arange(2000), labels].mean())
    for name, t in (("test_ece", 2.0), ("test_ece_uncalibrated", 1.0)):
        assert metrics[name] == pytest.approx(ece(reliability_bins(softmax(logits, t), labels, 15)))
    accepted = rejection_reason(logits, found) == ""
    assert 0 < accepted.mean() < 1
    assert metrics["test_accepted_errors"] == ((logits.argmax(1) != labels) & accepted).sum()
