"""A training's epochs, as they are kept beside its weights and drawn on pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown, write_json
from mnistlib.runs.layout import Run, make_command


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


EPOCHS = TypeAdapter(list[Epoch])


def save_history(run: Run, history: list[Epoch]) -> None:
    """Write `models/history.json`: one row per epoch."""
    write_json(run.history_json, {"epochs": [asdict(epoch) for epoch in history]})


def load_history(run: Run) -> list[Epoch]:
    """One row per epoch. Raises RunError when the file is missing, damaged or of another version."""
    again = make_command(run, "train")
    rows = read_json(run.history_json, hint=again).get("epochs")
    try:
        return EPOCHS.validate_python(rows)
    except ValidationError as error:
        raise RunError(f"{shown(run.history_json)} is damaged or of another version: {again}") from error
