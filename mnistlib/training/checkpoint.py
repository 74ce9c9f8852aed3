"""What a training that was cut off needs to go on as if nothing had happened, kept after each epoch."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mnistlib.core.files import bytes_digest, read_regular, shown, write_bytes

KEPT = 2
LONG = 40
LARGEST = 1_000_000_000  # bytes; one of the default's takes 2 MB


class Checkpoints:
    """The checkpoints of one training, the newest two, in a `folder` of their own; `say` is told what becomes of them.

    `seams`: the epochs after which it went on; `writing`: seconds spent on keeping them, those before a seam too.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder, self.say = folder, say
        self.identity: dict[str, str] = {}
        self.seams: list[int] = []
        self.before, self.writing, self.began = 0.0, 0.0, time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds of training until now: since `resume`, and before each seam up to the checkpoint."""
        return self.before + time.perf_counter() - self.began

    def resume(self, identity: Mapping[str, str]) -> dict[str, Any] | None:
        """The state in the newest sound checkpoint of just the training that `identity` describes; None to start anew.

        A damaged one is passed over for the one before it; all of another training are deleted. Either is said.
        """
        self.identity, self.began = dict(identity), time.perf_counter()
        for path in self.found():
            try:
                known, state = read_checkpoint(path)
            except DamagedError as error:
                self.say(f"{shown(path)} is damaged ({error}): not used")
                continue
            changed = differences(known, self.identity)
            if changed:
                self.say(f"{shown(path)} belongs to another training ({changed}): not used")
                break
            return self.go_on(state)
        if self.folder.exists():
            self.say("training starts anew")
            self.clear()
        return None

    def go_on(self, state: dict[str, Any]) -> dict[str, Any]:
        """Take over times and seams; returns what training itself needs."""
        earlier = "".join(f", as it did after epoch {epoch}" for epoch in state["seams"])
        self.say(f"resumed after epoch {state['epoch']}{earlier}")
        self.before, self.writing = state["seconds"], state["writing"]
        self.seams = sorted({*state["seams"], state["epoch"]})
        training: dict[str, Any] = state["training"]
        return training

    def keep(self, epoch: int, training: dict[str, Any]) -> None:
        """Write the state after an epoch, whole or not at all, and take away the last but one. Raises RunError."""
        began = time.perf_counter()
        state = {"epoch": epoch, "seams": self.seams, "seconds": self.elapsed, "writing": self.writing}
        state["training"] = training
        write_checkpoint(self.folder / f"epoch-{epoch:04d}.pt", self.identity, state)
        for path in self.found()[KEPT:]:
            path.unlink()
        self.writing += time.perf_counter() - began

    def clear(self) -> None:
        """Take all away: the training ended well, or they are of no use."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def found(self) -> list[Path]:
        """The files, the newest first."""
        return sorted(self.folder.glob("epoch-*.pt"), reverse=True)


class DamagedError(Exception):
    """A file that is not a whole checkpoint; its text says why."""


def write_checkpoint(path: Path, identity: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """A SHA-256 of all that follows it, a line of JSON that says whose state it is, and the state. Raises RunError."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = json.dumps(dict(identity)).encode() + b"\n" + buffer.getvalue()
    write_bytes(path, bytes_digest(content).encode() + b"\n" + content)


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Whose state it is, and the state, read without running any code of the file's. Raises DamagedError."""
    try:
        digest, _, content = read_regular(path, LARGEST).partition(b"\n")
        if bytes_digest(content).encode() != digest:
            raise DamagedError("its checksum is wrong")
        identity, _, body = content.partition(b"\n")
        return json.loads(identity), torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except DamagedError:
        raise
    except Exception as error:  # whatever torch makes of a file that is none of ours
        raise DamagedError(f"{type(error).__name__}") from error


def differences(known: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """In words, what is not the same; empty when all is."""
    told = []
    for name in [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]:
        old, new = known.get(name, "none"), wanted.get(name, "none")
        told.append(f"other {name}" if max(len(old), len(new)) > LONG else f"{name} {old}, now {new}")
    return "; ".join(told)
