"""Logits of strongly augmented validation images, to fit the temperature to.

A good network makes too few validation errors to fit a temperature reliably. Augmented copies bring hundreds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mnistlib.data.augmentation import Distortion, distort
from mnistlib.evaluation.metrics import in_batches
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_description
from mnistlib.training.model import DigitNet

FURTHER = 1.5


def predict_augmented(
    network: DigitNet, images: np.ndarray, distortion: Distortion, copies: int, seed: int
) -> list[np.ndarray]:
    """Return logits of several augmented copies of the images.

    Args:
        network: the trained network.
        images: uint8 N×28×28.
        distortion: the limits of training's augmentation; the copies use 1.5 times as much.
        copies: number of copies, each with new random distortions.
        seed: of the distortions.

    Returns:
        For each copy float32 N×classes; an empty list where training used no augmentation.
    """
    if distortion.is_none:
        return []
    further = distortion.further(FURTHER)
    generator = torch.Generator(next(network.parameters()).device).manual_seed(seed)

    def logits(batch: Tensor) -> Tensor:
        answers: Tensor = network(distort(batch, further, generator))
        return answers

    return [in_batches(network, images, logits, network.architecture.classes) for _ in range(copies)]


def load_distortion(run: Run) -> Distortion:
    """Return the augmentation that the run's training used, none if its description does not say. Raises RunError."""
    return Distortion(**read_description(run)["training"].get("distortion", {}))
