"""The training history: one row per epoch, stored beside the weights. Pages read it without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown, write_json
from mnistlib.runs.layout import Run, make_command


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set; losses in nats, accuracies in 0…1, times in seconds."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


EPOCHS = TypeAdapter(list[Epoch])


def save_history(run: Run, history: list[Epoch]) -> None:
    """Write one row per epoch to `models/history.json`. Raises RunError."""
    write_json(run.history_json, {"epochs": [asdict(epoch) for epoch in history]})


def load_history(run: Run) -> list[Epoch]:
    """Return the rows of `models/history.json`, one per epoch.

    Raises:
        RunError: when the file is missing, damaged or of another version.
    """
    again = make_command(run, "train")
    rows = read_json(run.history_json, hint=again).get("epochs")
    try:
        return EPOCHS.validate_python(rows)
    except ValidationError as error:
        raise RunError(f"{shown(run.history_json)} is damaged or of another version: {again}") from error
