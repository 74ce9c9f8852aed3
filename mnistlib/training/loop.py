"""The training loop: epochs of batches, each epoch scored on the validation set."""

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
    """Train a network and return the moving average of its weights after the last step.

    Validation is reported and never used to choose an epoch. With `checkpoints`, an interrupted training of the same
    identity resumes to the same bits.

    Args:
        network: the network on its device; its weights are changed.
        train: training set; labels below 0 mark outliers.
        val: validation set.
        recipe: the hyperparameters.
        seed: of the order, the augmentation and dropout.
        precision: "fp32" or "bf16", of the forward pass and of Muon's products.
        checkpoints: where the state after each epoch is kept, if at all.
        on_epoch: called with each epoch's row, once its checkpoint is written.
        on_step: called with (steps done, steps in all) after each batch.

    Returns:
        The averaged network in eval mode, and one row per epoch.

    Raises:
        RunError: when the loss is no longer a finite number, or `recipe.epochs` is below 1.
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
    """Return all that the bits of the weights depend on, by name: a checkpoint must agree in each."""
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
    """Train for one epoch, then score the average on validation. Raises RunError for a loss that is not finite."""
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
    """Run one pass in a new random order; return mean loss, and accuracy among examples with a class.

    The last incomplete batch is dropped: another epoch's order includes its examples.
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
    """Return mean cross-entropy in nats and accuracy in 0…1 over every example."""
    network.eval()
    loss, right = 0.0, 0
    for chosen in torch.arange(len(split), device=split.labels.device).split(SCORED_AT_ONCE):
        images, labels = split.batch(chosen)
        logits = network(images).float()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(split), right / len(split)
