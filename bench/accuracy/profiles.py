"""Train profiles seed by seed in one process, without notebooks and reports.

`python -m bench.accuracy.profiles fast best` measures five seeds of each, on the CPU or a GPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistlib.core import config
from mnistlib.core.formatting import Table
from mnistlib.data.augmentation import Distortion
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.data.outlier_exposure import make_outliers
from mnistlib.data.preprocess import Split, split, statistics
from mnistlib.data.synthetic import synthesize
from mnistlib.evaluation.augmented_logits import predict_augmented
from mnistlib.evaluation.calibration import calibrate
from mnistlib.evaluation.metrics import accuracy, predict_logits, softmax
from mnistlib.evaluation.reliability import confidence_metrics
from mnistlib.training.device import describe_device, pick_device, pick_precision
from mnistlib.training.loop import fit
from mnistlib.training.model import Architecture, DigitNet, build, count_parameters
from mnistlib.training.tensor_dataset import TensorDataset, effective_batch_size
from mnistlib.training.trainer import Recipe

SEEDS = range(5)
COLUMNS = (
    *("profile", "n", "parameters", "test_accuracy", "test_accuracy_std", "ensemble_test_accuracy"),
    *("train_seconds", "train_seconds_std", "epoch_seconds"),
)
CONFIDENCE = ("test_nll", "test_ece", "test_ece_by_chance", "test_error_at_99_coverage", "test_error_at_98_coverage")

View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """One seed's network, its test logits and its row of measurements."""

    network: DigitNet
    logits: np.ndarray
    row: dict[str, Any]


def unchanged(images: np.ndarray) -> np.ndarray:
    """Return the pictures unchanged."""
    return images


def train_profile(profile: str, raw: Raw, seed: int, view: View = unchanged) -> Trained:
    """Train a profile and score the test set once.

    Args:
        profile: name of a profile in params/.
        raw: the dataset.
        seed: sets the split, the initial weights and the order of the pictures.
        view: maps pictures, uint8 N×28×28, to those that the network sees, in training and in the test.
    """
    p = config.load(profile)
    whole = split(raw, p.preprocess.val_fraction, seed, p.preprocess.train_limit)
    splits = {name: Split(view(images), labels) for name, (images, labels) in whole.items()}
    count = len(splits["train"].labels)
    ink = synthesize(round(p.train.synthetic_ink * count), raw.classes, seed)
    outlier_images = make_outliers(round(p.train.outliers * count), raw.classes, seed)
    added = ((view(images), labels) for images, labels in (ink, outlier_images))
    device = pick_device(p.train.device)
    train, val = TensorDataset.of(device, splits["train"], *added), TensorDataset.of(device, splits["val"])
    network, recipe = design(p, splits["train"], raw, seed, effective_batch_size(len(train), p.train.batch_size))
    precision = pick_precision(p.train.precision, device)
    began = time.perf_counter()
    network, history = fit(network.to(device), train, val, recipe, seed=seed, precision=precision)
    seconds = time.perf_counter() - began
    logits, val_logits = (predict_logits(network, splits[name].images) for name in ("test", "val"))
    augmented = predict_augmented(network, splits["val"].images, recipe.distortion, p.evaluate.augmented_copies, seed)
    calibration = calibrate(val_logits, splits["val"].labels, p.evaluate.accepted_error, *augmented)
    row = {
        "profile": profile,
        "seed": seed,
        "val_accuracy": history[-1].val_accuracy,
        "test_accuracy": accuracy(logits, raw.test_labels),
        "train_seconds": seconds,
        "epoch_seconds": float(np.median([e.seconds for e in history])),
        "parameters": count_parameters(network),
        "precision": precision,
        **confidence_metrics(logits, raw.test_labels, calibration, p.evaluate.bins),
    }
    return Trained(network, logits, row)


def design(p: config.Params, train: TensorDataset, raw: Raw, seed: int, per_step: int) -> tuple[DigitNet, Recipe]:
    """Return the network and the training recipe of a profile, as 03_train builds them."""
    t, moments = p.train, statistics(train)
    shape = (tuple(t.widths), t.hidden, t.dropout, len(raw.classes))
    architecture = Architecture(*shape, moments["mean"], moments["std"], tuple(t.kernels), tuple(t.pooling))
    distortion = Distortion(t.rotate, t.shear, t.scale, t.shift, t.undistorted, t.background)
    rates = (t.optimizer, t.learning_rate, t.muon_rate, t.warmup, t.weight_decay)
    recipe = Recipe(t.epochs, per_step, *rates, t.label_smoothing, t.ema_decay, distortion)
    return build(architecture, seed), recipe


def measure_profiles(
    profiles: Sequence[str], raw: Raw, seeds: Sequence[int], into: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return one summary per profile and print them as a table.

    On a GPU a first training warms it up; its seconds are printed separately. Each summary is appended to `into`.
    """
    device = pick_device()
    if device.type == "cuda":
        cold = train_profile("fast", raw, seeds[0]).row["train_seconds"]
        print(f"{describe_device(device, 'cold')}: fast takes {cold:.1f} s the first time", flush=True)
    summaries = [] if into is None else into
    for profile in profiles:
        summaries.append(measure_profile(profile, raw, seeds))
    table = Table([{name: summary[name] for name in COLUMNS} for summary in summaries])
    print(f"\nprofiles, mean of {len(seeds)}:\n{table}", flush=True)
    calibration = [{name: summary[name] for name in ("profile", *CONFIDENCE)} for summary in summaries]
    print(f"\ncalibration, each seed by its own validation set:\n{Table(calibration, decimals=5)}", flush=True)
    return summaries


def measure_profile(profile: str, raw: Raw, seeds: Sequence[int]) -> dict[str, Any]:
    """Return a row per seed, means and standard deviations, and the accuracy of the ensemble of all seeds."""
    trained = [reported(train_profile(profile, raw, seed)) for seed in seeds]
    ensemble = np.mean([softmax(t.logits) for t in trained], axis=0)
    rows = [t.row for t in trained]
    summary: dict[str, Any] = {"profile": profile, "n": len(rows), "parameters": rows[0]["parameters"]}
    for name in ("test_accuracy", "val_accuracy", "train_seconds", "epoch_seconds", *CONFIDENCE):
        values = [row[name] for row in rows]
        summary |= {name: float(np.mean(values)), f"{name}_std": float(np.std(values, ddof=len(values) > 1))}
    summary["ensemble_test_accuracy"] = accuracy(ensemble, raw.test_labels)
    return summary | {"seeds": rows}


def reported(trained: Trained, name: str = "") -> Trained:
    """Print the accuracy and seconds of one training, and return it unchanged."""
    row = trained.row
    result = f"{row['test_accuracy']:.2%} in {row['train_seconds']:.3g} s"
    print(f"{name or row['profile']}, seed {row['seed']}: {result}", flush=True)
    return trained


if __name__ == "__main__":
    measure_profiles(sys.argv[1:], obtain("mnist"), SEEDS)
