"""The state of a training: one step, the schedule, the moving average of the weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnistlib.data.augmentation import Distortion, distort
from mnistlib.training.device import autocast, random_state, set_random_state
from mnistlib.training.model import DigitNet
from mnistlib.training.optim import make_optimizers, settle_rates


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training; the defaults are those of params/default.yaml, without augmentation.

    Attributes:
        epochs: passes over the training set.
        batch_size: images in a step.
        optimizer: "muon" or "adamw".
        learning_rate: AdamW's peak rate in a one-cycle schedule (https://arxiv.org/abs/1708.07120).
        muon_rate: Muon's peak rate.
        warmup: share of all steps, in 0…1, in which the rate rises.
        weight_decay: decoupled.
        label_smoothing: share of probability spread evenly (https://arxiv.org/abs/1512.00567), in 0…1.
        ema_decay: decay per step of the exponential moving average of the weights, in 0…1; 0 for none.
        distortion: limits of the data augmentation.
    """

    epochs: int = 12
    batch_size: int = 512
    optimizer: str = "muon"
    learning_rate: float = 0.01
    muon_rate: float = 0.1
    warmup: float = 0.2
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    ema_decay: float = 0.98
    distortion: Distortion = field(default_factory=Distortion)


class Trainer:
    """All that changes in a training: weights, their average, optimizers, schedules, random states.

    Args:
        network: the network on its device; its weights are changed.
        recipe: the hyperparameters.
        steps: number of steps in all.
        seed: of the order and the augmentation.
    """

    def __init__(self, network: DigitNet, recipe: Recipe, steps: int, seed: int) -> None:
        device = next(network.parameters()).device
        self.network, self.recipe, self.step = network, recipe, 0
        self.average = copy.deepcopy(network).requires_grad_(False)
        r = recipe
        self.optimizers = make_optimizers(network, r.optimizer, r.learning_rate, r.muon_rate, r.weight_decay)
        self.schedules = [one_cycle(optimizer, steps, r.warmup) for optimizer in self.optimizers]
        self.averaged, self.moving = floats_of(self.average), floats_of(network)
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(device).manual_seed(seed)

    def learn(self, images: Tensor, labels: Tensor, precision: str) -> tuple[Tensor, Tensor]:
        """Update the weights by one batch.

        Nothing is read back from the device, so that a CUDA graph can record the step.

        Args:
            images: float32 N×1×28×28 in 0…1.
            labels: int64 N, below 0 for outliers.
            precision: "fp32" or "bf16".

        Returns:
            The mean loss in nats and the number of correct predictions, scalar tensors.
        """
        augmented = distort(images, self.recipe.distortion, self.noise)
        with autocast(images.device, precision):
            logits = self.network(augmented)
        loss = F.cross_entropy(logits.float(), soft_targets(labels, logits.shape[1], self.recipe.label_smoothing))
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        with autocast(images.device, precision):  # Muon's products too
            for optimizer in self.optimizers:
                optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def advance(self) -> None:
        """Step the schedules and the moving average after a batch."""
        for schedule in self.schedules:
            schedule.step()
        self.step += 1
        self.update_average()

    def state(self) -> dict[str, Any]:
        """Return all that changes, random states included; the tensors are not copied."""
        return {
            "step": self.step,
            "weights": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
            "dropout": random_state(self.noise.device),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a `state`, torch's global generators included."""
        self.step = state["step"]
        self.network.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        for ours, theirs in zip(self.optimizers, state["optimizers"], strict=True):
            ours.load_state_dict(theirs)
        settle_rates(self.optimizers)
        for schedule, theirs in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(theirs)
        self.order.set_state(state["order"])
        self.noise.set_state(state["noise"])
        set_random_state(self.noise.device, state["dropout"])

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the weights; the decay is smaller in the first steps."""
        decay = min(self.recipe.ema_decay, self.step / (self.step + 10))
        torch._foreach_lerp_(self.averaged, self.moving, 1 - decay)


def one_cycle(optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> torch.optim.lr_scheduler.OneCycleLR:
    """Return the one-cycle schedule: up to each group's own peak rate, then down to almost 0.

    Args:
        optimizer: its groups hold their peak rates.
        steps: number of steps in all.
        warmup: share of the steps, 0…1, in which the rate rises.
    """
    peaks, cycle = [float(group["lr"]) for group in optimizer.param_groups], torch.optim.lr_scheduler.OneCycleLR
    return cycle(optimizer, peaks, total_steps=steps + 1, pct_start=warmup, cycle_momentum=False)


def floats_of(network: nn.Module) -> list[Tensor]:
    """Return a network's weights and running statistics, the tensors themselves."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def soft_targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return smoothed target probabilities, float32 N×classes.

    An outlier's target is the uniform distribution (outlier exposure, https://arxiv.org/abs/1812.04606).

    Args:
        labels: int64 N, below 0 for outliers.
        classes: number of classes.
        smoothing: share of probability spread evenly over all classes, in 0…1.
    """
    certain = (labels >= 0).float()[:, None] * (1 - smoothing)
    return certain * (labels[:, None] == torch.arange(classes, device=labels.device)) + (1 - certain) / classes
