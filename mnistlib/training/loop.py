"""The training loop: epochs of batches gathered as whole tensors, each epoch scored on validation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from torch.nn import functional as F

from mnistlib.core.errors import RunError
from mnistlib.runs.fingerprint import modules_digest
from mnistlib.training.checkpoint import Checkpoints
from mnistlib.training.cuda_graph import Step, as_cuda_graph
from mnistlib.training.device import describe_processor, repeatable
from mnistlib.training.history import Epoch
from mnistlib.training.model import DigitNet
from mnistlib.training.tensor_dataset import TensorDataset, digest_of
from mnistlib.training.trainer import Recipe, Trainer

SCORED_AT_ONCE = 1000


def fit(
    network: DigitNet,
    train: TensorDataset,
    val: TensorDataset,
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
    loss stops being a number, or there is no epoch to train.
    """
    if recipe.epochs < 1:
        raise RunError(f"train.epochs is {recipe.epochs}: at least 1")
    per_epoch = max(1, len(train) // recipe.batch_size)
    history: list[Epoch] = []
    kept = checkpoints.resume(identity(network, train, val, recipe, seed, precision)) if checkpoints else None
    with repeatable(), torch.random.fork_rng():
        torch.manual_seed(seed)  # what dropout draws from
        trainer = Trainer(network, recipe, recipe.epochs * per_epoch, seed)
        if kept:
            trainer.restore(kept["trainer"])
            history = [Epoch(**row) for row in kept["history"]]
        learn = as_cuda_graph(lambda chosen: trainer.learn(*train.batch(chosen), precision), trainer.noise)
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            history.append(fit_epoch(trainer, learn, epoch, train, val, per_epoch, on_step))
            if checkpoints:
                checkpoints.keep(epoch, {"trainer": trainer.state(), "history": [asdict(row) for row in history]})
            on_epoch(history[-1])
    return trainer.average.eval(), history


def identity(
    network: DigitNet, train: TensorDataset, val: TensorDataset, recipe: Recipe, seed: int, precision: str
) -> dict[str, str]:
    """All that the bits of the weights depend on, by name: a checkpoint is taken up only where each is the same."""
    device = train.labels.device
    parameters = asdict(recipe) | {"seed": seed, "precision": precision}
    distortion = parameters.pop("distortion")
    return {
        **{name: str(value) for name, value in {**parameters, **distortion}.items()},
        "network": str(network.architecture),
        "first weights": digest_of(*network.state_dict().values()),
        "training pictures": digest_of(*train.images, train.labels),
        "validation pictures": digest_of(*val.images, val.labels),
        "code of training": modules_digest([__name__]),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "processor": describe_processor(device),
    }


def fit_epoch(
    trainer: Trainer,
    learn: Step,
    epoch: int,
    train: TensorDataset,
    val: TensorDataset,
    batches: int,
    on_step: Callable[[int, int], None],
) -> Epoch:
    """Train for one epoch, then score the average on validation. Raises RunError when the loss is no number."""
    started = time.perf_counter()
    loss, accuracy = run_epoch(trainer, learn, train, batches, on_step)
    if not np.isfinite(loss):
        r = trainer.recipe
        rates = f"train.learning_rate ({r.learning_rate})"
        if r.optimizer == "muon":
            rates = f"train.muon_rate ({r.muon_rate}), which moves the kernels, or {rates}"
        raise RunError(f"the loss became {loss} in epoch {epoch}: lower {rates}")
    val_loss, val_accuracy = score(trainer.average, val)
    rate = float(trainer.schedules[0].get_last_lr()[0])
    return Epoch(epoch, loss, accuracy, val_loss, val_accuracy, rate, time.perf_counter() - started)


def run_epoch(
    trainer: Trainer, learn: Step, train: TensorDataset, batches: int, on_step: Callable[[int, int], None]
) -> tuple[float, float]:
    """One pass in a new order: mean loss, and accuracy among what has a class.

    The last incomplete batch is left to another epoch's order.
    """
    size, steps = trainer.recipe.batch_size, trainer.recipe.epochs * batches
    order = torch.randperm(len(train), generator=trainer.order).to(train.labels.device)
    trainer.network.train()
    exact = torch.float32 if train.labels.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    losses, right = (torch.zeros((), dtype=exact, device=train.labels.device) for _ in range(2))
    for chosen in order.split(size)[:batches]:
        loss, correct = learn(chosen)
        trainer.advance()
        losses += loss
        right += correct
        on_step(trainer.step, steps)
    seen = int((train.labels[order[: size * batches]] >= 0).sum())
    return float(losses) / batches, float(right) / seen


@torch.no_grad()
def score(network: DigitNet, split: TensorDataset) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy over every example."""
    network.eval()
    loss, right = 0.0, 0
    for chosen in torch.arange(len(split), device=split.labels.device).split(SCORED_AT_ONCE):
        images, labels = split.batch(chosen)
        logits = network(images).float()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(split), right / len(split)
