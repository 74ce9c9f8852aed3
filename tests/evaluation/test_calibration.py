"""Calibration against logits of a temperature that is set, and sums done by hand."""

import json

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_json
from mnistlib.evaluation import calibration as cal
from mnistlib.evaluation.metrics import softmax
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from tests.records import describe_model


def world(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn from their softmax at a temperature."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(count, 10)) * 3
    cumulative = softmax(logits, temperature).cumsum(1)
    return logits, (generator.random((count, 1)) > cumulative).sum(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(temperature):
    assert cal.fit_temperature(*world(temperature)) == pytest.approx(temperature, rel=0.03)


def test_augmented_copies_bring_a_few_pictures_temperature_nearer():
    logits, labels = world(0.5)
    alike = [np.flatnonzero(labels == digit) for digit in range(10)]
    generator, alone, helped = np.random.default_rng(1), [], []
    for start in range(0, 6000, 300):
        few, right = logits[start : start + 300], labels[start : start + 300]
        copies = [logits[[generator.choice(alike[digit]) for digit in right]] for _ in range(12)]
        alone.append(np.log(cal.fit_temperature(few, right) / 0.5))
        helped.append(np.log(cal.fit_temperature(few, right, *copies) / 0.5))
    assert np.mean(np.square(helped)) < np.mean(np.square(alone)) / 3


def test_copies_that_say_the_same_again_make_nothing_surer():
    logits, labels = np.array([[3.0, 0.0], [0.0, 2.0], [4.0, 0.0]]), np.array([0, 1, 0])
    assert cal.fit_temperature(logits, labels, *[logits] * 12) == pytest.approx(cal.fit_temperature(logits, labels))


def test_augmented_copies_move_the_temperature_alone():
    logits, labels = world(1.0, 2000)
    plain, found = (cal.calibrate(logits, labels, 0.02, *augmented) for augmented in ((), (logits[::-1],)))
    assert found.temperature > 1.5 * plain.temperature
    assert found.ood_threshold == plain.ood_threshold
    assert found.coverage == pytest.approx(plain.coverage, abs=0.02)


def test_threshold_by_hand():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, True])
    assert cal.fit_threshold(confidence, right, 0.0) == 0.8
    assert cal.fit_threshold(confidence, right, 0.2) == 0.5
    assert cal.fit_threshold(confidence, ~right, 0.1) == 1.0
    assert cal.fit_threshold(np.array([0.9, 0.9]), np.array([True, False]), 0.1) == 1.0


def test_accepted_errors_are_as_many_as_are_allowed_and_no_more():
    logits, labels = world(1.0)
    found = cal.calibrate(logits, labels, 0.02)
    assert 0.018 <= found.accepted_error <= 0.02
    accepted = (softmax(logits, found.temperature).max(1) >= found.threshold) & (
        cal.ood_score(logits) >= found.ood_threshold
    )
    assert found.coverage == pytest.approx(accepted.mean())
    assert 0.05 < found.coverage < 1


def test_ood_score_by_hand_is_high_between_two_classes_and_low_where_none_stands_out():
    between, none = [6.0, 6.0, 0.0, 0.0], [1.0, 0.9, 0.9, 0.8]
    assert cal.ood_score(np.array([between, none])).tolist() == pytest.approx([3.0, 0.1])
    assert cal.ood_score(np.array([between]) + 100) == pytest.approx([3.0])


def test_the_ood_threshold_accepts_975_of_1000_validation_pictures():
    logits, labels = world(1.0)
    least = cal.calibrate(logits, labels, 0.02).ood_threshold
    assert (cal.ood_score(logits) >= least).mean() == pytest.approx(0.975, abs=1e-4)


def test_the_reason_is_the_threshold_that_was_missed():
    logits = np.array([[9.0, 0, 0, 0], [9.0, 9.0, 0, 0], [1.0, 0, 0, 0]])
    reasons = cal.rejection_reason(logits, cal.Calibration(1.0, 0.9, 2.0, 1.0, 0.0))
    assert reasons.tolist() == ["", "not sure enough", "not like a digit"]


def test_the_error_found_is_not_named_as_the_parameter():
    metrics = cal.calibration_metrics(cal.Calibration(0.5, 0.9, 2.0, 0.98, 0.001))
    assert metrics["errors_among_the_accepted"] == 0.001
    assert "accepted_error" not in metrics
    assert len(metrics) == 5


DESCRIBED = describe_model()
FOUND = cal.Calibration(1.2, 0.8, 5.0, 0.95, 0.001)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    write_json(Run("r").model_json, DESCRIBED)
    return Run("r")


def test_it_is_kept_and_another_version_is_refused(run):
    cal.save_calibration(run, FOUND)
    assert cal.load_calibration(run) == FOUND
    run.calibration_json.write_text('{"format": 0}')
    with pytest.raises(RunError, match="another version: make evaluate RUN=r"):
        cal.load_calibration(run)


@pytest.mark.parametrize(
    ("fine_tuned", "advice"), [(False, "make evaluate RUN=r"), (True, "fine-tune it again with make teach")]
)
def test_a_calibration_of_other_weights_is_refused(run, fine_tuned, advice):
    cal.save_calibration(run, FOUND)
    write_json(run.model_json, describe_model(weights_sha256="1" * 64))
    if fine_tuned:
        write_json(run.teach_json, {})
    with pytest.raises(RunError, match=f"other weights than .*/r/models/pytorch_mnist_model.pth: {advice}"):
        cal.load_calibration(run)


@pytest.mark.parametrize("temperature", ["x", None, 0, -1, float("nan"), float("inf")])
def test_a_damaged_one_is_named(run, temperature):
    cal.save_calibration(run, FOUND)
    kept = json.loads(run.calibration_json.read_text()) | {"temperature": temperature}
    run.calibration_json.write_text(json.dumps(kept))
    with pytest.raises(RunError, match=r"calibration\.json (is damaged|cannot be read).*: make evaluate RUN=r"):
        cal.load_calibration(run)


@pytest.mark.parametrize("described", [None, {}, DESCRIBED | {"weights_sha256": 7}])
def test_without_a_whole_model_there_is_nothing_to_calibrate(run, described):
    run.model_json.unlink()
    if described is not None:
        write_json(run.model_json, described)
    with pytest.raises(RunError, match="03_train"):
        cal.save_calibration(run, FOUND)


def test_what_is_not_like_a_digit_does_not_move_the_confidences_threshold():
    logits = np.zeros((40, 10))
    logits[:, 0] = 6
    logits[38, 1] = 5.9  # an inlier, hardly sure, and right
    logits[39, 0], labels = 3, np.append(np.zeros(39, int), 1)  # an outlier, more confident, and wrong
    found = cal.calibrate(logits, labels, 0.001)
    assert cal.rejection_reason(logits, found).tolist() == [""] * 39 + ["not like a digit"]
    assert (found.coverage, found.accepted_error) == (39 / 40, 0)
