"""Robustness: the error on each corruption, for images as they are and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistlib.data.augmentation import Distortion
from mnistlib.evaluation.corruptions import CORRUPTIONS, corrupt
from mnistlib.evaluation.metrics import accuracy, predict_logits
from mnistlib.imaging.restoration import restore_digits
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import DigitNet

AS_IT_IS, RESTORED = "error", "error, restored"
LEARNT_BY = {  # in a Distortion
    **{"shear": "shear", "scale": "scale", "rotate": "rotate", "translate": "shift"},
    **{"brightness": "background", "fog": "background"},
}


def choose_subset(available: int, count: int, seed: int) -> np.ndarray:
    """Return sorted indices of a random `count` of `available` images: MNIST's test halves differ in difficulty."""
    return np.sort(np.random.default_rng(seed).permutation(available)[:count])


def robustness_rows(
    network: DigitNet | FusedNet, images: np.ndarray, labels: np.ndarray, trained: Distortion, seed: int
) -> list[dict[str, Any]]:
    """Return the share of errors on images corrupted in each of the fifteen ways.

    A plain convolutional network has 11.7 % errors on average in Mu & Gilmer 2019 (https://arxiv.org/abs/1906.02337).
    Picture files of such images are restored in the same way. The restoration was tuned on these fifteen corruptions,
    so its error is not comparable with published ones.

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
        rows.append(
            {
                "corruption": name,
                "in training": name in LEARNT_BY and getattr(trained, LEARNT_BY[name]) > 0,
                AS_IT_IS: error(network, corrupted, labels),
                RESTORED: error(network, restore_digits(corrupted), labels),
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
    means = {way: float(np.mean([row[way] for row in rows])) for way in (AS_IT_IS, RESTORED)}
    return {
        "corrupted_error_mean": means[AS_IT_IS],
        "corrupted_error_restored_mean": means[RESTORED],
        **{f"corrupted_error_{row['corruption']}": row[AS_IT_IS] for row in rows},
        **{f"corrupted_error_restored_{row['corruption']}": row[RESTORED] for row in rows},
    }


def corrupt_each_way(image: np.ndarray, seed: int) -> np.ndarray:
    """Return one image, uint8 28×28, corrupted in each of the fifteen ways: uint8 15×28×28."""
    return np.concatenate([corrupt(image[None], name, seed) for name in CORRUPTIONS])
