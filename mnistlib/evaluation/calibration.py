"""How far the network's confidence can be trusted: temperature, reliability, and when to abstain."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import as_json, read_json, shown
from mnistlib.core.json_checks import between, with_new_names, wrong_fields
from mnistlib.evaluation.metrics import nll, softmax
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned, read_description, recalibrate_advice, replace_file

FORMAT = 4
KEPT = 0.975
NOT_LIKE_A_DIGIT = "not like a digit"
NOT_SURE_ENOUGH = "not sure enough"
FOUND = {  # what a calibration file may hold
    **{"temperature": between(0.01, 100), "threshold": between(0, 1), "ood_threshold": between(0, 1e6)},
    **{"coverage": between(0, 1), "accepted_error": between(0, 1)},
}


@dataclass(frozen=True)
class Calibration:
    """Found on validation data: divide logits by `temperature`; trust an answer from both thresholds on.

    `threshold`: of the confidence, for digits that could be another digit; `ood_threshold`: of what `ood_score` finds,
    for what is no digit. `coverage`: share of validation answers so accepted; `accepted_error`: of errors among them.
    """

    temperature: float
    threshold: float
    ood_threshold: float
    coverage: float
    accepted_error: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram: count, mean confidence and accuracy of what falls into it.

    `chance`: the accuracy's standard deviation were each answer right with just its own confidence.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    chance: float


def calibrate(logits: np.ndarray, labels: np.ndarray, accepted_error: float, *augmented: np.ndarray) -> Calibration:
    """Temperature and thresholds from validation logits N×classes and labels.

    The temperature is fitted to `augmented` besides, logits N×classes of the same pictures bent (`augmented_logits`).
    `KEPT` of all are like a digit; among those the confidence's threshold holds the share of errors down.
    """
    temperature, least = fit_temperature(logits, labels, *augmented), float(np.quantile(ood_score(logits), 1 - KEPT))
    like = ood_score(logits) >= least
    confidence, right = softmax(logits, temperature).max(1), logits.argmax(1) == labels
    threshold = fit_threshold(confidence[like], right[like], accepted_error)
    accepted = like & (confidence >= threshold)
    error = float((~right[accepted]).mean()) if accepted.any() else 0.0
    return Calibration(temperature, threshold, least, float(accepted.mean()), error)


def described(found: Calibration) -> dict[str, float]:
    """What was found, by names; the errors among the accepted not by that of the parameter that limits them."""
    told = asdict(found)
    return told | {"errors_among_the_accepted": told.pop("accepted_error")}


def ood_score(logits: np.ndarray) -> np.ndarray:
    """How much speaks for any class at all: the largest logit above the mean of all, float64 N, 0 or more.

    Low where no class stands out, as training teaches for what is no digit; high for a digit that could be one of
    two, which the confidence finds. Logits less their mean, for softmax leaves their common height open.
    """
    exact = logits.astype(np.float64)
    return exact.max(1) - exact.mean(1)


def rejection_reason(logits: np.ndarray, found: Calibration) -> np.ndarray:
    """Why an answer deserves no trust, text N; empty for those that are accepted."""
    like = ood_score(logits) >= found.ood_threshold  # a NaN is no reason to accept
    sure = softmax(logits, found.temperature).max(1) >= found.threshold
    return np.where(like, np.where(sure, "", NOT_SURE_ENOUGH), NOT_LIKE_A_DIGIT)


def fit_temperature(logits: np.ndarray, labels: np.ndarray, *augmented: np.ndarray) -> float:
    """The temperature in 0.05…20 of least NLL (Guo et al. 2017), drawn towards 1 as if by two more examples.

    Without that, a small part without a mistake would make every answer certain. `augmented`: more logits for these
    labels, with which the two are as many times in it as any picture.
    """
    from scipy.optimize import minimize_scalar

    answers, right = np.concatenate([logits, *augmented]), np.tile(labels, 1 + len(augmented))
    found = minimize_scalar(
        lambda t: nll(answers, right, float(np.exp(t))) + 2 * t**2 / len(labels),
        bounds=np.log([0.05, 20]),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_threshold(confidence: np.ndarray, right: np.ndarray, accepted_error: float) -> float:
    """The lowest confidence from which on the share of errors is at most `accepted_error`.

    1.0 when not even the surest answers are that good.
    """
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last_of_value = np.append(np.diff(confidence[order]) != 0, True)
    good = np.flatnonzero((errors <= accepted_error) & last_of_value)
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> list[Bin]:
    """Bins of equal width over 0…1 by confidence; empty ones are left out."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, bins - 1)
    groups = ((b, place == b) for b in range(bins))
    return [
        Bin(
            float(edges[b]),
            float(edges[b + 1]),
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
            float(np.sqrt((confidence * (1 - confidence))[inside].sum()) / inside.sum()),
        )
        for b, inside in groups
        if inside.any()
    ]


def ece(bins: list[Bin]) -> float:
    """Expected calibration error (Naeini et al. 2015): mean gap of confidence and accuracy."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / total


def ece_by_chance(bins: list[Bin]) -> float:
    """The ECE to be expected of perfect calibration, for a sample never hits its mean (Bröcker & Smith 2007).

    The mean size of a normal deviation in each bin: rough for bins of a few answers.
    """
    return float(np.sqrt(2 / np.pi)) * sum(b.count * b.chance for b in bins) / sum(b.count for b in bins)


def risk_coverage(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and error among the answered when only the surest answers count, both in 0…1, float64 N."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    return answered / len(order), np.cumsum(~right[order]) / answered


def confidence_metrics(logits: np.ndarray, labels: np.ndarray, found: Calibration, bins: int) -> dict[str, Any]:
    """NLL, ECE, coverage and error among the accepted, of the test part, with the validation's temperature.

    And the error among the surest 99 and 98 of 100 answers.
    """
    probabilities = softmax(logits, found.temperature)
    diagram = reliability_bins(probabilities, labels, bins)
    _, error = risk_coverage(probabilities, labels)
    accepted = rejection_reason(logits, found) == ""
    wrong = probabilities.argmax(1) != labels
    return {
        "test_nll": nll(logits, labels, found.temperature),
        "test_nll_uncalibrated": nll(logits, labels),
        "test_ece": ece(diagram),
        "test_ece_by_chance": ece_by_chance(diagram),
        "test_ece_uncalibrated": ece(reliability_bins(softmax(logits), labels, bins)),
        "test_coverage": float(accepted.mean()),
        "test_accepted_errors": int((wrong & accepted).sum()),
        "test_error_at_99_coverage": float(error[max(0, len(error) * 99 // 100 - 1)]),
        "test_error_at_98_coverage": float(error[max(0, len(error) * 98 // 100 - 1)]),
    }


def save_calibration(run: Run, found: Calibration) -> None:
    """Write `models/calibration.json`, take away an export of another one; needs model.json. Raises RunError."""
    kept = {"format": FORMAT, "model": read_description(run)["digest"], **asdict(found)}
    replace_file(run, run.calibration_json, as_json(kept).encode())


def load_calibration(run: Run) -> Calibration:
    """The run's calibration. Raises RunError when it is missing, damaged, from another version or for other weights."""
    where = shown(run.calibration_json)
    measured = run.calibration_json.is_file() or is_fine_tuned(run)  # 04 never runs in a fine-tuned run
    again = recalibrate_advice(run) if measured else "run 04_evaluate first"
    kept = with_new_names(read_json(run.calibration_json, hint=again))
    version, model = kept.pop("format", None), kept.pop("model", None)
    if version == FORMAT and model != read_description(run)["digest"]:
        raise RunError(f"{where} was made for other weights than {shown(run.weights)}: {recalibrate_advice(run)}")
    if version != FORMAT or wrong_fields(kept, FOUND):
        raise RunError(f"{where} is damaged or from another version: {recalibrate_advice(run)}")
    return Calibration(**kept)
