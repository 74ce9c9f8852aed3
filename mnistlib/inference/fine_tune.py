"""Teach a model a person's own hand: a few of their drawings, a rehearsal of the dataset, seconds."""

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
from mnistlib.training.trainer import floats_of, soft_targets


@dataclass(frozen=True)
class Lesson:
    """How to teach: `versions` of each drawing are made; a step sees `own` of them and `rehearsed` of the dataset.

    `share`: how far the weights that are kept lie towards the taught ones;
    `smoothing` of the labels as in the default's training.
    """

    steps: int = 120
    versions: int = 24
    own: int = 96
    rehearsed: int = 160
    learning_rate: float = 0.002
    share: float = 0.6
    smoothing: float = 0.1
    distortion: Distortion = field(default_factory=lambda: Distortion(8.0, 0.1, 0.1, 0.08))


def teach(
    network: DigitNet, own: tuple[np.ndarray, np.ndarray], rehearsal: TensorDataset, lesson: Lesson, seed: int
) -> DigitNet:
    """A copy of the network that has learnt `own` (uint8 N×28×28 and labels) without forgetting the rehearsal.

    Batch norm keeps its statistics and nothing is dropped: fifty drawings are too few to measure anew. What is kept
    lies between the weights before and after (Wortsman et al. 2022), which forgets less and learns nearly as much.
    """
    taught = copy.deepcopy(network).eval().requires_grad_(True)
    optimizer = AdamW(parameter_groups(taught, 0.01), lr=lesson.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lesson.learning_rate, total_steps=lesson.steps + 1, pct_start=0.2, cycle_momentum=False
    )
    chance = torch.Generator().manual_seed(seed)
    mine = TensorDataset.of(torch.device("cpu"), own)
    for _ in range(lesson.steps):
        chosen = [
            part.batch(torch.randint(len(part), (count,), generator=chance))
            for part, count in ((mine, lesson.own), (rehearsal, lesson.rehearsed))
        ]
        images, labels = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        logits = taught(distort(images, lesson.distortion, chance))
        loss = F.cross_entropy(logits, soft_targets(labels, logits.shape[1], lesson.smoothing))
        taught.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    taught.eval().requires_grad_(False)
    torch._foreach_lerp_(floats_of(taught), floats_of(network), 1 - lesson.share)
    return taught


def versions_of(drawings: Sequence[Drawing], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` versions of each drawing as the same hand might draw it again: uint8 N×28×28, labels uint8 N."""
    chance = np.random.default_rng(seed)
    images = [vary_drawing(d.strokes, chance) for d in drawings for _ in range(count)]
    return np.stack(images), np.repeat(np.array([d.label for d in drawings], np.uint8), count)


def hold_back(drawings: Sequence[Drawing]) -> tuple[list[Drawing], list[Drawing]]:
    """What is taught, and what is kept back to see whether it was learnt: of each digit every fourth drawing."""
    taught: list[Drawing] = []
    held: list[Drawing] = []
    for digit in range(10):
        same = [d for d in drawings if d.label == digit]
        for place, drawing in enumerate(same):
            (held if place % 4 == 3 else taught).append(drawing)
    return taught, held
