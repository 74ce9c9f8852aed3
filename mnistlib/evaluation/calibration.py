"""Calibration: temperature scaling, and the thresholds of selective prediction."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
FIELDS = {  # of a calibration file, with their ranges
    **{"temperature": between(0.01, 100), "threshold": between(0, 1), "ood_threshold": between(0, 1e6)},
    **{"coverage": between(0, 1), "accepted_error": between(0, 1)},
}


@dataclass(frozen=True)
class Calibration:
    """What the validation set says about confidence.

    Attributes:
        temperature: divides the logits, 0.05…20.
        threshold: least confidence of an accepted prediction, 0…1; it rejects ambiguous digits.
        ood_threshold: least OOD score of an accepted prediction; it rejects inputs that are not digits.
        coverage: accepted share of the validation predictions, 0…1.
        accepted_error: share of errors among the accepted, 0…1.
    """

    temperature: float
    threshold: float
    ood_threshold: float
    coverage: float
    accepted_error: float


def calibrate(logits: np.ndarray, labels: np.ndarray, accepted_error: float, *augmented: np.ndarray) -> Calibration:
    """Fit temperature and thresholds to the validation set.

    The OOD threshold keeps 97.5 % of the validation images. The confidence threshold limits the errors among these.

    Args:
        logits: float N×classes of the validation set.
        labels: int N.
        accepted_error: largest share of errors among accepted predictions, 0…1.
        augmented: logits N×classes of augmented copies, which only the temperature uses.
    """
    scores = ood_score(logits)
    temperature, ood_threshold = fit_temperature(logits, labels, *augmented), float(np.quantile(scores, 1 - KEPT))
    inlier = scores >= ood_threshold
    confidence, right = softmax(logits, temperature).max(1), logits.argmax(1) == labels
    threshold = fit_threshold(confidence[inlier], right[inlier], accepted_error)
    accepted = inlier & (confidence >= threshold)
    error = float((~right[accepted]).mean()) if accepted.any() else 0.0
    return Calibration(temperature, threshold, ood_threshold, float(accepted.mean()), error)


def calibration_metrics(found: Calibration) -> dict[str, float]:
    """Return the fields by name; `accepted_error` is renamed, because a parameter has that name."""
    fields = asdict(found)
    return fields | {"errors_among_the_accepted": fields.pop("accepted_error")}


def ood_score(logits: np.ndarray) -> np.ndarray:
    """Return the OOD score, max logit − mean logit: float64 N, 0 or more, low where no class stands out.

    This is MaxLogit (https://arxiv.org/abs/1911.11132) after subtracting the mean, which softmax ignores.

    Args:
        logits: float N×classes.
    """
    exact = logits.astype(np.float64)
    return exact.max(1) - exact.mean(1)


def rejection_reason(logits: np.ndarray, found: Calibration) -> np.ndarray:
    """Return why each prediction is rejected, text N; empty where it is accepted.

    Args:
        logits: float N×classes.
        found: the run's calibration.
    """
    inlier = ood_score(logits) >= found.ood_threshold  # False for NaN
    confident = softmax(logits, found.temperature).max(1) >= found.threshold
    return np.where(inlier, np.where(confident, "", NOT_SURE_ENOUGH), NOT_LIKE_A_DIGIT)


def fit_temperature(logits: np.ndarray, labels: np.ndarray, *augmented: np.ndarray) -> float:
    """Return the temperature in 0.05…20 with the least NLL (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    A prior worth two examples draws it towards 1: a small set without errors would make every prediction certain.
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
    """Return the lowest confidence above which the share of errors is at most `accepted_error`; 1.0 if none."""
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last_of_value = np.append(np.diff(confidence[order]) != 0, True)
    good = np.flatnonzero((errors <= accepted_error) & last_of_value)
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def save_calibration(run: Run, found: Calibration) -> None:
    """Write `models/calibration.json` and delete an ONNX export with another. Raises RunError without model.json."""
    kept = {"format": FORMAT, "model": read_description(run)["digest"], **asdict(found)}
    replace_file(run, run.calibration_json, as_json(kept).encode())


def load_calibration(run: Run) -> Calibration:
    """Return a run's calibration.

    Raises:
        RunError: when it is missing, damaged, of another version or of other weights.
    """
    where = shown(run.calibration_json)
    measured = run.calibration_json.is_file() or is_fine_tuned(run)  # 04 never runs in a fine-tuned run
    again = recalibrate_advice(run) if measured else "run 04_evaluate first"
    kept = with_new_names(read_json(run.calibration_json, hint=again))
    version, model = kept.pop("format", None), kept.pop("model", None)
    if version == FORMAT and model != read_description(run)["digest"]:
        raise RunError(f"{where} was made for other weights than {shown(run.weights)}: {recalibrate_advice(run)}")
    if version != FORMAT or wrong_fields(kept, FIELDS):
        raise RunError(f"{where} is damaged or from another version: {recalibrate_advice(run)}")
    return Calibration(**kept)
