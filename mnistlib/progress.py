"""Training as it happens: a live bar by hand, one plain line per epoch when headless."""

from __future__ import annotations

import os
from collections.abc import Callable

from mnistlib.train import Epoch


def is_headless() -> bool:
    """Whether the runner executes this kernel, and nobody watches."""
    return bool(os.environ.get("MNISTLIB_HEADLESS"))


def print_epoch(epoch: Epoch) -> None:
    """One line: losses, accuracies, seconds."""
    print(
        f"epoch {epoch.epoch:3d}  loss {epoch.train_loss:.4f}  val loss {epoch.val_loss:.4f}  "
        f"val accuracy {epoch.val_accuracy:.2%}  {epoch.seconds:.1f} s",
        flush=True,
    )


def live_bar() -> Callable[[int, int], None]:
    """For `fit(on_step=…)`: a bar that moves with each batch; headless, nothing."""
    if is_headless():
        return lambda step, steps: None
    from tqdm.auto import tqdm

    bar: tqdm[None] = tqdm(unit="batch", desc="training")

    def move(step: int, steps: int) -> None:
        bar.total = steps
        bar.update(step - bar.n)
        if step == steps:
            bar.close()

    return move
