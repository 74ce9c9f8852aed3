"""The training loop: epochs of batches gathered as whole tensors, each epoch scored on validation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mnistlib.checkpoint import Checkpoints
from mnistlib.device import describe_processor
from mnistlib.files import RunError, write_json
from mnistlib.model import DigitNet
from mnistlib.rundir import Run
from mnistlib.source import modules_digest
from mnistlib.trainer import Recipe, Trainer

SCORED_AT_ONCE = 1000
LEAST_STEPS = 20


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part; losses in nats, accuracies in 0…1."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Split:
    """One part of the data on the training device: images uint8 N×1×28×28, labels int64 N, below 0 for no class."""

    images: Tensor
    labels: Tensor

    @staticmethod
    def of(images: np.ndarray, labels: np.ndarray, device: torch.device) -> Split:
        """From uint8 N×28×28 and labels, memory-mapped or not."""
        pixels = torch.from_numpy(np.array(images))[:, None].to(device)
        return Split(pixels, torch.from_numpy(np.array(labels)).long().to(device))


def pictures_per_step(count: int, most: int) -> int:
    """The batch size for a training part of `count`: `most`, fewer where an epoch would have fewer than 20 steps.

    On a small dataset a few large steps would end the training before it has begun.
    """
    return max(2, min(most, count // LEAST_STEPS))


def fit(
    network: DigitNet,
    train: Split,
    val: Split,
    recipe: Recipe,
    *,
    seed: int,
    precision: str = "fp32",
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> tuple[DigitNet, list[Epoch]]:
    """Train, and return the averaged network of the last step with one row per epoch.

    The rule for the weights: always the last ones. Validation is watched, never chosen by. `on_step(step, steps)` is
    called after each batch, `on_epoch` after each validation and, with `checkpoints`, once the epoch is kept there:
    where a training of the same everything was cut off, this one goes on, to the same bits. Raises RunError when the
    loss stops being a number.
    """
    per_epoch = max(1, len(train.labels) // recipe.batch_size)
    history: list[Epoch] = []
    kept = checkpoints.resume(identity(network, train, val, recipe, seed, precision)) if checkpoints else None
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # what dropout draws from
        trainer = Trainer(network, recipe, recipe.epochs * per_epoch, seed)
        if kept:
            trainer.restore(kept["trainer"])
            history = [Epoch(**row) for row in kept["history"]]
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            history.append(fit_epoch(trainer, epoch, train, val, per_epoch, precision, on_step))
            if checkpoints:
                checkpoints.keep(epoch, {"trainer": trainer.state(), "history": [asdict(row) for row in history]})
            on_epoch(history[-1])
    return trainer.average.eval(), history


def identity(network: DigitNet, train: Split, val: Split, recipe: Recipe, seed: int, precision: str) -> dict[str, str]:
    """All that the bits of the weights depend on, by name: a checkpoint is taken up only where each is the same."""
    device = train.images.device
    parameters = asdict(recipe) | {"seed": seed, "precision": precision}
    distortion = parameters.pop("distortion")
    return {
        **{name: str(value) for name, value in {**parameters, **distortion}.items()},
        "network": str(network.architecture),
        "first weights": digest_of(*network.state_dict().values()),
        "training pictures": digest_of(train.images, train.labels),
        "validation pictures": digest_of(val.images, val.labels),
        "code of training": modules_digest([__name__]),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "processor": describe_processor(device),
    }


def digest_of(*tensors: Tensor) -> str:
    """SHA-256 of the tensors' shapes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()


def fit_epoch(
    trainer: Trainer,
    epoch: int,
    train: Split,
    val: Split,
    batches: int,
    precision: str,
    on_step: Callable[[int, int], None],
) -> Epoch:
    """Train for one epoch, then score the average on validation. Raises RunError when the loss is no number."""
    started = time.perf_counter()
    loss, accuracy = run_epoch(trainer, train, batches, precision, on_step)
    if not np.isfinite(loss):
        rate = trainer.recipe.learning_rate
        raise RunError(f"the loss became {loss} in epoch {epoch}: lower train.learning_rate ({rate})")
    val_loss, val_accuracy = score(trainer.average, val)
    rate = float(trainer.schedules[0].get_last_lr()[0])
    return Epoch(epoch, loss, accuracy, val_loss, val_accuracy, rate, time.perf_counter() - started)


def save_history(run: Run, history: list[Epoch]) -> None:
    """Write `models/history.json`: one row per epoch."""
    write_json(run.history_json, {"epochs": [asdict(epoch) for epoch in history]})


def run_epoch(
    trainer: Trainer, train: Split, batches: int, precision: str, on_step: Callable[[int, int], None]
) -> tuple[float, float]:
    """One pass in a new order: mean loss, and accuracy among what has a class.

    The last incomplete batch is left to another epoch's order.
    """
    size, steps = trainer.recipe.batch_size, trainer.recipe.epochs * batches
    order = torch.randperm(len(train.labels), generator=trainer.order).to(train.labels.device)
    trainer.network.train()
    losses, right = [], []
    for chosen in order.split(size)[:batches]:
        images = train.images[chosen].float().div_(255)
        loss, correct = trainer.train_step(images, train.labels[chosen], precision)
        losses.append(loss)
        right.append(correct)
        on_step(trainer.step, steps)
    seen = int((train.labels[order[: size * batches]] >= 0).sum())
    return float(torch.stack(losses).mean()), float(torch.stack(right).sum()) / seen


@torch.no_grad()
def score(network: DigitNet, split: Split) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy over every example."""
    network.eval()
    loss, right = 0.0, 0
    for images, labels in zip(split.images.split(SCORED_AT_ONCE), split.labels.split(SCORED_AT_ONCE), strict=True):
        logits = network(images.float() / 255).float()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(split.labels), right / len(split.labels)
