"""Validation pictures bent further than training bent its own: mistakes enough to fit a temperature to.

Of three thousand validation pictures a good network mistakes a dozen, and a temperature that hangs on a dozen is drawn
by lot. Bent anew, several times, the same pictures bring hundreds.
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
    """Logits of `copies` of the pictures, uint8 N×28×28, each time bent anew: of each copy float32 N×classes.

    Bent by up to `FURTHER` times as much as by training's `distortion`, every one; no copies where that is none.
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
    """How training bent the run's pictures; not at all where the run is older than that record."""
    return Distortion(**read_description(run)["training"].get("distortion", {}))
