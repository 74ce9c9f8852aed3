"""Progress of training: curves and a bar in an interactive session, one line per epoch in a headless one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mnistlib.core.log import is_headless

if TYPE_CHECKING:  # the runner reads these lines and needs no torch for it
    from mnistlib.training.history import Epoch

LINE = re.compile(r"epoch +(\d+)  loss (\S+)  .*  (\d+\.\d) s")


def print_epoch(epoch: Epoch) -> None:
    """Print losses, accuracy and seconds of an epoch in one line."""
    print(
        f"epoch {epoch.epoch:3d}  loss {epoch.train_loss:.4f}  val loss {epoch.val_loss:.4f}  "
        f"val accuracy {epoch.val_accuracy:.2%}  {epoch.seconds:.1f} s",
        flush=True,
    )


def live_curves(epochs: int) -> Callable[[Epoch], None]:
    """Return a callback for `fit(on_epoch=…)` that reports each epoch.

    It prints a line per epoch. In an interactive session it also updates the learning curves after each epoch.

    Args:
        epochs: of the whole training; after the last one the curves are removed, because the notebook plots them.
    """
    if is_headless():
        return print_epoch
    from IPython.display import HTML, DisplayHandle

    from mnistlib.reporting.figures import picture_of
    from mnistlib.reporting.plots.training import plot_curves

    handle = DisplayHandle()
    history: list[Epoch] = []

    def grow(epoch: Epoch) -> None:
        print_epoch(epoch)
        history.append(epoch)
        show = handle.update if len(history) > 1 else handle.display
        curves = picture_of(plot_curves(history), "learning curves: loss and errors so far")
        show(curves if epoch.epoch < epochs else HTML(""))

    return grow


def read_epoch(line: str) -> tuple[int, str, float] | None:
    """Parse a line of `print_epoch`.

    Returns:
        Epoch, loss as text and seconds; None for any other line.
    """
    found = LINE.fullmatch(line.strip())
    return (int(found[1]), found[2], float(found[3])) if found else None


def live_bar(unit: str = "batch", every: int = 0) -> Callable[[int, int], None]:
    """Return a callback that takes (steps done, steps in all) and moves a progress bar.

    Args:
        unit: name of one step.
        every: in a headless session, print a line after each `every` steps instead; 0 prints nothing.
    """
    if is_headless():
        return lambda done, total: print_progress(done, total, unit, every)
    from tqdm.auto import tqdm

    bar: tqdm[None] = tqdm(unit=unit)

    def move(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return move


def print_progress(done: int, total: int, unit: str, every: int) -> None:
    """Print a line after each `every` steps and after the last one."""
    if every and done >= every and (done % every == 0 or done == total):
        print(f"{done:,} of {total:,} {unit}s", flush=True)
