"""How well spoilt pictures are recognised: each corruption's error, as it is, restored, and framed anew as well."""

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

AS_IT_IS, RESTORED, REFRAMED = "error", "error, restored", "error, restored and framed anew"
LEARNT_BY = {"shear": "shear", "scale": "scale", "rotate": "rotate", "translate": "shift"}  # in a Distortion


def choose_subset(available: int, count: int, seed: int) -> np.ndarray:
    """Sorted indices of `count` pictures, or of all when there are fewer.

    By chance, for the halves of MNIST's test part are not equally hard.
    """
    return np.sort(np.random.default_rng(seed).permutation(available)[:count])


def robustness_rows(
    network: DigitNet | FusedNet, images: np.ndarray, labels: np.ndarray, trained: Distortion, seed: int
) -> list[dict[str, Any]]:
    """The share of errors on uint8 N×28×28 pictures spoilt in each of fifteen ways; no rows without pictures.

    `in training`: whether its family was, which the affine ones are by training's distortion and the others never.
    For comparison, a plain convolutional network in Mu & Gilmer, "MNIST-C" (2019), on the whole test part: 11.7 % in
    the mean, and at worst 52.8 % on translate, 23.1 % on fog, 19.2 % on canny_edges.
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
    """Share of wrong answers."""
    return 1 - accuracy(predict_logits(network, images), labels)


def robustness_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The rows' errors as flat metrics, fractions: the means over the corruptions, and each one's own; {} for none."""
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
    """One uint8 28×28 picture spoilt in each of the fifteen ways, in their order: uint8 15×28×28."""
    return np.concatenate([corrupt(image[None], name, seed) for name in CORRUPTIONS])
