"""Logits and embeddings of a network, and metrics as pure functions of (logits, labels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_arrays, shown, write_arrays
from mnistlib.runs.layout import Run, make_command
from mnistlib.training.numpy_network import NumpyNet

if TYPE_CHECKING:  # pages need the metrics and should not wait for torch
    from mnistlib.training.fusion import FusedNet
    from mnistlib.training.model import DigitNet

AT_ONCE = 1000
Z95 = 1.959963984540054


def predict_logits(network: DigitNet | FusedNet | NumpyNet, images: np.ndarray) -> np.ndarray:
    """Return logits float32 N×classes.

    Args:
        network: in torch or in NumPy; a torch network is put in eval mode.
        images: uint8 N×28×28, a memory map or array.
    """
    if isinstance(network, NumpyNet):
        return network.logits(images)
    from mnistlib.training.device import one_thread_for

    with one_thread_for(len(images)):
        return in_batches(network, images, network.forward, network.architecture.classes)


def embed(network: DigitNet, images: np.ndarray) -> np.ndarray:
    """Return embeddings float32 N×hidden, the activations before the last layer, of images uint8 N×28×28."""
    return in_batches(network, images, network.embed, network.architecture.hidden)


def in_batches(network: DigitNet | FusedNet, images: np.ndarray, function: Any, width: int) -> np.ndarray:
    """Apply a function of the network to all images, a thousand at a time."""
    import torch

    if network.training:  # eval() takes a tenth of the time of one prediction
        network.eval()
    device = next(network.parameters()).device
    result = np.empty((len(images), width), np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.array(images[start : start + AT_ONCE])).to(device)
            answers = function(batch[:, None].float() / 255)
            result[start : start + AT_ONCE] = answers.float().cpu().numpy()
    return result


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probabilities float64 N×classes of logits N×classes divided by `temperature`."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(1, keepdims=True)
    return probabilities


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy, 0…1, of logits N×classes for labels int N."""
    return float((logits.argmax(1) == labels).mean())


def accuracy_interval(errors: int, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of an accuracy, within 0…1 (https://doi.org/10.1080/01621459.1927.10502953).

    Args:
        errors: number of wrong predictions.
        count: number of predictions, 1 or more.
    """
    p = 1 - errors / count
    middle = (p + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 * np.sqrt(p * (1 - p) / count + Z95**2 / (4 * count**2)) / (1 + Z95**2 / count)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of the labels in nats; logits are divided by `temperature`."""
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(1)
    log_sums = top + np.log(np.exp(scaled - top[:, None]).sum(1))
    return float((log_sums - scaled[np.arange(len(labels)), labels]).mean())


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix, int64 classes×classes: rows are labels, columns are predictions."""
    flat = np.bincount(labels.astype(np.int64) * classes + predictions, minlength=classes * classes)
    return flat.reshape(classes, classes)


def per_class(matrix: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support of each class from the confusion matrix; 0 where undefined."""
    right, actual, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(actual, 1)
    f1 = 2 * right / np.maximum(actual + predicted, 1)
    columns = zip(names, precision, recall, f1, actual, strict=True)
    return [
        {"class": name, "precision": float(p), "recall": float(r), "F1": float(f), "pictures": int(n)}
        for name, p, r, f, n in columns
    ]


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: index in the test set, image uint8 28×28, label, prediction, and confidence in 0…1."""

    index: int
    image: np.ndarray
    label: int
    prediction: int
    confidence: float


def most_confident_mistakes(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, count: int
) -> list[Mistake]:
    """Return the wrong predictions with the highest confidence, most confident first.

    Args:
        images: uint8 N×28×28.
        labels: int N.
        probabilities: float N×classes.
        count: how many to return at most.
    """
    predictions, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predictions != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [
        Mistake(int(i), np.array(images[i]), int(labels[i]), int(predictions[i]), float(confidence[i])) for i in order
    ]


def accuracy_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the test set's accuracy, its 95 % interval, errors and count, by metric name."""
    errors, count = int((logits.argmax(1) != labels).sum()), len(labels)
    low, high = accuracy_interval(errors, count)
    return {
        "test_accuracy": 1 - errors / count,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_errors": errors,
        "test_count": count,
    }


def save_predictions(run: Run, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the test set's logits float32 N×classes and labels int N, for comparisons. Raises RunError."""
    write_arrays(run.test_predictions, logits=logits, labels=np.asarray(labels))


def load_predictions(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return labels int N and logits float N×classes of the test set.

    Raises:
        RunError: when the file is missing or damaged.
    """
    again = make_command(run, "evaluate")
    labels, logits = read_arrays(run.test_predictions, ["labels", "logits"], hint=again)
    whole = logits.ndim == 2 and logits.dtype.kind == "f" and np.isfinite(logits).all()
    if not whole or labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu" or labels.size == 0:
        raise RunError(f"{shown(run.test_predictions)} is damaged: {again}")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise RunError(f"{shown(run.test_predictions)} is damaged, with labels of no class: {again}")
    return labels, logits
