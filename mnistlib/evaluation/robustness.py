"""Robustness: the error on each corruption, for images as they are, denoised, and denoised and re-framed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistlib.data.augmentation import Distortion
from mnistlib.evaluation.corruptions import CORRUPTIONS, corrupt
from mnistlib.evaluation.metrics import accuracy, predict_logits
from mnistlib.imaging.batch_framing import reframe
from mnistlib.imaging.restoration import restore
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import DigitNet

AS_IT_IS, RESTORED, REFRAMED = "error", "error, restored", "error, restored and re-framed"
LEARNT_BY = {"shear": "shear", "scale": "scale", "rotate": "rotate", "translate": "shift"}  # in a Distortion


def choose_subset(available: int, count: int, seed: int) -> np.ndarray:
    """Return sorted indices of a random `count` of `available` images: MNIST's test halves differ in difficulty."""
    return np.sort(np.random.default_rng(seed).permutation(available)[:count])


def robustness_rows(
    network: DigitNet | FusedNet, images: np.ndarray, labels: np.ndarray, trained: Distortion, seed: int
) -> list[dict[str, Any]]:
    """Return the share of errors on images corrupted in each of the fifteen ways.

    A plain convolutional network in Mu & Gilmer 2019 (https://arxiv.org/abs/1906.02337) has 11.7 % errors on average
    over the whole test set: 52.8 % on translate, 23.1 % on fog, 19.2 % on canny_edges.

    Args:
        network: the trained network.
        images: uint8 N×28×28.
        labels: int N.
        trained: training's augmentation; the column `in training` says whether it includes the corruption's family.
        seed: of the corruptions.

    Returns:
        One row per corruption, with errors in 0…1; none without images.
    """
    if not len(images):
        return []
    rows = []
    for name in CORRUPTIONS:
        corrupted = corrupt(images, name, seed)
        restored = restore(corrupted)
        rows.append(
            {
                "corruption": name,
                "in training": name in LEARNT_BY and getattr(trained, LEARNT_BY[name]) > 0,
                AS_IT_IS: error(network, corrupted, labels),
                RESTORED: error(network, restored, labels),
                REFRAMED: error(network, reframe(restored), labels),
            }
        )
    return rows


def error(network: DigitNet | FusedNet, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of wrong predictions."""
    return 1 - accuracy(predict_logits(network, images), labels)


def robustness_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the rows as metrics: the mean error of each column and each corruption's own; {} for no rows."""
    if not rows:
        return {}
    means = {way: float(np.mean([row[way] for row in rows])) for way in (AS_IT_IS, RESTORED, REFRAMED)}
    return {
        "corrupted_error_mean": means[AS_IT_IS],
        "corrupted_error_restored_mean": means[RESTORED],
        "corrupted_error_reframed_mean": means[REFRAMED],
        **{f"corrupted_error_{row['corruption']}": row[AS_IT_IS] for row in rows},
        **{f"corrupted_error_restored_{row['corruption']}": row[RESTORED] for row in rows},
    }


def corrupt_each_way(image: np.ndarray, seed: int) -> np.ndarray:
    """Return one image, uint8 28×28, corrupted in each of the fifteen ways: uint8 15×28×28."""
    return np.concatenate([corrupt(image[None], name, seed) for name in CORRUPTIONS])
