"""What changes while a network is trained: one step, the schedule, the moving average of the weights."""

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
    """How to train: everything but the network and the data.

    `optimizer` (`muon`, with `muon_rate` beside `learning_rate`, or `adamw`) under a one-cycle schedule (Smith &
    Topin 2018) that rises for the first `warmup` share of all steps; the network kept is an exponential moving
    average of the weights with `ema_decay` per step (0: none). By default as params/default.yaml has it, but that no
    picture is bent.
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
    """What changes while training: weights, their average, optimizer, schedule, random state."""

    def __init__(self, network: DigitNet, recipe: Recipe, steps: int, seed: int) -> None:
        device = next(network.parameters()).device
        self.network, self.recipe, self.step = network, recipe, 0
        self.average = copy.deepcopy(network).requires_grad_(False)
        r = recipe
        self.optimizers = make_optimizers(network, r.optimizer, r.learning_rate, r.muon_rate, r.weight_decay)
        self.schedules = [one_cycle(optimizer, r, steps) for optimizer in self.optimizers]
        self.averaged, self.moving = floats_of(self.average), floats_of(network)
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(device).manual_seed(seed)

    def learn(self, images: Tensor, labels: Tensor, precision: str) -> tuple[Tensor, Tensor]:
        """Move the weights by one batch (float N×1×28×28 in 0…1); returns its mean loss and how many were right.

        Nothing is read back from the device, so that a GPU can record it.
        """
        bent = distort(images, self.recipe.distortion, self.noise)
        with autocast(images.device, precision):
            logits = self.network(bent)
        loss = F.cross_entropy(logits.float(), soft_targets(labels, logits.shape[1], self.recipe.label_smoothing))
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        with autocast(images.device, precision):  # Muon's products too
            for optimizer in self.optimizers:
                optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def advance(self) -> None:
        """After a batch: the next step's rates, and the average."""
        for schedule in self.schedules:
            schedule.step()
        self.step += 1
        self.update_average()

    def state(self) -> dict[str, Any]:
        """All that changes, the random states with it; the tensors themselves."""
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
        """Become what `state` was taken from, torch's own generators included."""
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
        """Move the average towards the weights; less smoothing in the first steps."""
        decay = min(self.recipe.ema_decay, self.step / (self.step + 10))
        torch._foreach_lerp_(self.averaged, self.moving, 1 - decay)


def one_cycle(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """From low to each group's own peak rate and down to nothing."""
    peaks, cycle = [float(group["lr"]) for group in optimizer.param_groups], torch.optim.lr_scheduler.OneCycleLR
    return cycle(optimizer, peaks, total_steps=steps + 1, pct_start=recipe.warmup, cycle_momentum=False)


def floats_of(network: nn.Module) -> list[Tensor]:
    """Weights and running statistics, the tensors themselves."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def soft_targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Probabilities float32 N×classes to be learnt: `smoothing` spread evenly, the rest the label's.

    What has no class (a label below 0) is as much of one class as of another.
    """
    certain = (labels >= 0).float()[:, None] * (1 - smoothing)
    return certain * (labels[:, None] == torch.arange(classes, device=labels.device)) + (1 - certain) / classes
