"""Training steps of several recipes in turn: on a shared machine, ratios vary much less than seconds.

`python -m bench.speed.step_ratios` prints the seconds of an epoch of 60,000 pictures for each recipe, and its ratio to
the default's. Accuracy is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.accuracy.profiles import design
from bench.accuracy.tutorial import TwoConvolutions
from mnistlib.core import config
from mnistlib.core.formatting import Table
from mnistlib.data.augmentation import Distortion, distort
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.data.preprocess import Split
from mnistlib.training.device import autocast, pick_precision
from mnistlib.training.model import DigitNet
from mnistlib.training.tensor_dataset import TensorDataset
from mnistlib.training.trainer import Recipe, Trainer

EPOCH = 60_000
ROUNDS, STEPS = 7, 4
Timed = tuple[Callable[[], None], int]


def tutorial_three() -> nn.Module:
    """Return a common first design: three padded 3×3 convolutions, 32, 64, 128 channels, each max-pooled."""
    blocks = [
        nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(o), nn.ReLU())
        for i, o in ((1, 32), (32, 64), (64, 128))
    ]
    top = (nn.Dropout(0.3), nn.Linear(1152, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    return nn.Sequential(*blocks, nn.Flatten(), *top)


def tutorial_step(network: nn.Module, distortion: Distortion, train: TensorDataset, precision: str) -> Timed:
    """Return a function that takes one AdamW step, channels last, and its batch size of 256."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, noise = torch.optim.AdamW(network.parameters(), fused=True), torch.Generator().manual_seed(0)
    images, labels = train.batch(torch.arange(256))

    def step() -> None:
        with autocast(images.device, precision):
            logits = network(distort(images, distortion, noise))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step, len(images)


def profile_step(network: DigitNet, recipe: Recipe, train: TensorDataset, precision: str) -> Timed:
    """Return a function that takes one step of a profile's recipe, and its batch size."""
    trainer = Trainer(network.train(), recipe, 10_000, 0)
    images, labels = train.batch(torch.arange(recipe.batch_size))

    def step() -> None:
        trainer.learn(images, labels, precision)
        trainer.advance()

    return step, len(images)


def measure(raw: Raw) -> list[dict[str, float | str]]:
    """Return medians over rounds; in each round every recipe takes a few steps."""
    cpu, data = torch.device("cpu"), Split(raw.train_images, raw.train_labels)
    precision, train = pick_precision("auto", cpu), TensorDataset.of(cpu, data)
    profiles = {name: config.load(name) for name in ("default", "fast")}
    designs = {name: design(p, data, raw, 0, p.train.batch_size) for name, p in profiles.items()}
    distortion = designs["default"][1].distortion
    recipes = {name: profile_step(*designed, train, precision) for name, designed in designs.items()} | {
        "three padded convolutions, AdamW": tutorial_step(tutorial_three(), distortion, train, precision),
        "two convolutions, AdamW": tutorial_step(TwoConvolutions(), Distortion(), train, precision),
    }
    seconds: dict[str, list[float]] = {name: [] for name in recipes}
    for turn in range(ROUNDS + 1):
        for name, (step, size) in recipes.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                step()
            if turn:  # the first round is a warm-up
                seconds[name].append((time.perf_counter() - began) / STEPS / size * EPOCH)
    default = np.array(seconds["default"])
    return [
        {
            "recipe": name,
            "epoch_seconds": float(np.median(taken)),
            "least": min(taken),
            "most": max(taken),
            "times_default": float(np.median(np.array(taken) / default)),
        }
        for name, taken in seconds.items()
    ]


if __name__ == "__main__":
    print(Table(measure(obtain("mnist")), decimals=2))
