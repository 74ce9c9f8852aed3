"""Fine-tuning on a person's drawings, mixed with images of the dataset against forgetting."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from mnistlib.data.augmentation import Distortion, distort
from mnistlib.data.synthetic import vary_drawing
from mnistlib.inference.drawings import Drawing
from mnistlib.training.model import DigitNet
from mnistlib.training.optim import AdamW, parameter_groups
from mnistlib.training.tensor_dataset import TensorDataset
from mnistlib.training.trainer import floats_of, one_cycle, soft_targets


@dataclass(frozen=True)
class FineTuneRecipe:
    """The hyperparameters of fine-tuning.

    Attributes:
        steps: number of steps.
        versions: augmented versions made of each drawing.
        own, rehearsed: images of the drawings and of the dataset in each step.
        learning_rate: peak of the one-cycle schedule.
        share: weight of the fine-tuned network in the result, 0…1.
        smoothing: label smoothing, 0…1, as in training.
        distortion: limits of the data augmentation.
    """

    steps: int = 120
    versions: int = 24
    own: int = 96
    rehearsed: int = 160
    learning_rate: float = 0.002
    share: float = 0.6
    smoothing: float = 0.1
    distortion: Distortion = field(default_factory=lambda: Distortion(8.0, 0.1, 0.1, 0.08))


def fine_tune(
    network: DigitNet, own: tuple[np.ndarray, np.ndarray], rehearsal: TensorDataset, recipe: FineTuneRecipe, seed: int
) -> DigitNet:
    """Fine-tune a copy of the network.

    Batch norm keeps its statistics, because fifty drawings are too few to estimate them. The result lies between the
    weights before and after, which forgets less (WiSE-FT, https://arxiv.org/abs/2109.01903).

    Args:
        network: the trained network, on the CPU; it is not changed.
        own: the drawings, uint8 N×28×28, and their labels, uint8 N.
        rehearsal: images of the dataset.
        recipe: the hyperparameters.
        seed: of the batches and the augmentation.

    Returns:
        The fine-tuned network in eval mode.
    """
    tuned = copy.deepcopy(network).eval().requires_grad_(True)
    optimizer = AdamW(parameter_groups(tuned, 0.01), lr=recipe.learning_rate)
    schedule = one_cycle(optimizer, recipe.steps, warmup=0.2)
    chance = torch.Generator().manual_seed(seed)
    drawings = TensorDataset.of(torch.device("cpu"), own)
    for _ in range(recipe.steps):
        chosen = [
            source.batch(torch.randint(len(source), (count,), generator=chance))
            for source, count in ((drawings, recipe.own), (rehearsal, recipe.rehearsed))
        ]
        images, labels = (torch.cat(tensors) for tensors in zip(*chosen, strict=True))
        logits = tuned(distort(images, recipe.distortion, chance))
        loss = F.cross_entropy(logits, soft_targets(labels, logits.shape[1], recipe.smoothing))
        tuned.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    tuned.eval().requires_grad_(False)
    torch._foreach_lerp_(floats_of(tuned), floats_of(network), 1 - recipe.share)
    return tuned


def augment_drawings(drawings: Sequence[Drawing], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return versions of each drawing as the same person might draw it again.

    Args:
        drawings: with labels.
        count: versions of each.
        seed: of the versions.

    Returns:
        Images uint8 N×28×28 and labels uint8 N.
    """
    chance = np.random.default_rng(seed)
    images = [vary_drawing(d.strokes, chance) for d in drawings for _ in range(count)]
    return np.stack(images), np.repeat(np.array([d.label for d in drawings], np.uint8), count)


def split_drawings(drawings: Sequence[Drawing]) -> tuple[list[Drawing], list[Drawing]]:
    """Return the drawings to fine-tune on and those to score with: of each digit every fourth is held out."""
    train: list[Drawing] = []
    held_out: list[Drawing] = []
    for digit in range(10):
        same = [d for d in drawings if d.label == digit]
        for place, drawing in enumerate(same):
            (held_out if place % 4 == 3 else train).append(drawing)
    return train, held_out
