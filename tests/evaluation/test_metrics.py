"""Figures of quality against scikit-learn, SciPy and sums done by hand."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

from mnistlib.evaluation import metrics as ev
from mnistlib.training.model import Architecture, build


@pytest.fixture(scope="module")
def case():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 500)
    logits = generator.normal(size=(500, 10)).astype(np.float32)
    logits[np.arange(500), labels] += 2
    return logits, labels


def test_softmax_is_scipys(case):
    logits, _ = case
    assert np.allclose(ev.softmax(logits, 2.5), special.softmax(logits.astype(float) / 2.5, axis=1))
    assert np.isfinite(ev.softmax(np.array([[1e4, -1e4]]))).all()


def test_accuracy_nll_and_confusion_are_scikit_learns(case):
    logits, labels = case
    predictions = logits.argmax(1)
    assert ev.accuracy(logits, labels) == metrics.accuracy_score(labels, predictions)
    assert ev.nll(logits, labels) == pytest.approx(metrics.log_loss(labels, ev.softmax(logits)))
    matrix = ev.confusion(labels, predictions, 10)
    assert np.array_equal(matrix, metrics.confusion_matrix(labels, predictions))


def test_per_class_is_scikit_learns_even_where_a_class_is_never_given(case):
    logits, labels = case
    predictions = np.where(logits.argmax(1) == 4, 5, logits.argmax(1))
    rows = ev.per_class(ev.confusion(labels, predictions, 10), [str(i) for i in range(10)])
    expected = metrics.precision_recall_fscore_support(labels, predictions, zero_division=0)
    for name, column in zip(("precision", "recall", "F1", "pictures"), expected, strict=True):
        assert [row[name] for row in rows] == pytest.approx(list(column))


@pytest.mark.parametrize("count", [16, 21, 360, 10_000])
def test_interval_stays_inside_0_and_1(count):
    (low, _), (_, high) = ev.accuracy_interval(count, count), ev.accuracy_interval(0, count)
    assert (low, high) == (pytest.approx(0), pytest.approx(1))
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize(("errors", "count"), [(0, 100), (40, 10_000), (100, 100), (1, 3)])
def test_interval_is_scipys_wilson(errors, count):
    expected = stats.binomtest(count - errors, count).proportion_ci(method="wilson")
    assert ev.accuracy_interval(errors, count) == pytest.approx((expected.low, expected.high))


def test_headline_by_hand():
    logits = np.eye(10)[[0, 1, 2, 3]] * 5
    scores = ev.accuracy_metrics(logits, np.array([0, 1, 2, 9]))
    assert (scores["test_accuracy"], scores["test_errors"], scores["test_count"]) == (0.75, 1, 4)


def test_surest_mistakes_are_wrong_and_in_order(case):
    logits, labels = case
    probabilities = ev.softmax(logits)
    images = np.zeros((500, 28, 28), np.uint8)
    found = ev.most_confident_mistakes(images, labels, probabilities, 7)
    assert len(found) == 7
    assert all(m.prediction != m.label for m in found)
    confidence = probabilities.max(1)[logits.argmax(1) != labels]
    assert [m.confidence for m in found] == pytest.approx(sorted(confidence, reverse=True)[:7])


def test_batches_do_not_show():
    network = build(Architecture((4, 8, 16), 32), 0)
    images = np.random.default_rng(0).integers(0, 256, (1003, 28, 28), dtype=np.uint8)
    logits = ev.predict_logits(network, images)
    assert logits.shape == (1003, 10)
    assert np.allclose(logits[1000:], ev.predict_logits(network, images[1000:]), atol=1e-5)
    assert ev.embed(network, images[:5]).shape == (5, 32)
