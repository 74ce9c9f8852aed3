"""Checkpoints: the state after each epoch, from which an interrupted training resumes to the same bits."""

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
    """Keep the two newest checkpoints of one training in a folder of their own.

    Args:
        folder: where the files `epoch-0001.pt` and so on are written.
        say: receives each message, by default to print it.

    Attributes:
        seams: the epochs after which the training was resumed.
        writing: seconds spent on writing checkpoints, before and after a resumption.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder, self.say = folder, say
        self.identity: dict[str, str] = {}
        self.seams: list[int] = []
        self.before, self.writing, self.began = 0.0, 0.0, time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Return the seconds of training so far; before each seam, up to its checkpoint."""
        return self.before + time.perf_counter() - self.began

    def resume(self, identity: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the training state of the newest sound checkpoint, or None to start from the beginning.

        A damaged file is skipped. Checkpoints of a training with another `identity` are deleted. Both are reported.
        """
        self.identity, self.began = dict(identity), time.perf_counter()
        for path in self.found():
            try:
                identity, state = read_checkpoint(path)
            except DamagedError as error:
                self.say(f"{shown(path)} is damaged ({error}): not used")
                continue
            changed = differences(identity, self.identity)
            if changed:
                self.say(f"{shown(path)} belongs to another training ({changed}): not used")
                break
            return self.go_on(state)
        if self.folder.exists():
            self.say("training starts from the beginning")
            self.clear()
        return None

    def go_on(self, state: dict[str, Any]) -> dict[str, Any]:
        """Take over times and seams from a checkpoint, and return the state of the training itself."""
        earlier = "".join(f", as it did after epoch {epoch}" for epoch in state["seams"])
        self.say(f"resumed after epoch {state['epoch']}{earlier}")
        self.before, self.writing = state["seconds"], state["writing"]
        self.seams = sorted({*state["seams"], state["epoch"]})
        training: dict[str, Any] = state["training"]
        return training

    def keep(self, epoch: int, training: dict[str, Any]) -> None:
        """Write the state after an epoch atomically and delete the oldest file. Raises RunError."""
        began = time.perf_counter()
        state = {"epoch": epoch, "seams": self.seams, "seconds": self.elapsed, "writing": self.writing}
        state["training"] = training
        write_checkpoint(self.folder / f"epoch-{epoch:04d}.pt", self.identity, state)
        for path in self.found()[KEPT:]:
            path.unlink()
        self.writing += time.perf_counter() - began

    def clear(self) -> None:
        """Delete all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def found(self) -> list[Path]:
        """Return the files, newest first."""
        return sorted(self.folder.glob("epoch-*.pt"), reverse=True)


class DamagedError(Exception):
    """A file is not a complete checkpoint; the text says why."""


def write_checkpoint(path: Path, identity: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Write a SHA-256 of the rest, the identity as a line of JSON, and the state. Raises RunError."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = json.dumps(dict(identity)).encode() + b"\n" + buffer.getvalue()
    write_bytes(path, bytes_digest(content).encode() + b"\n" + content)


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return identity and state without running code from the file. Raises DamagedError."""
    try:
        digest, _, content = read_regular(path, LARGEST).partition(b"\n")
        if bytes_digest(content).encode() != digest:
            raise DamagedError("its checksum is wrong")
        identity, _, body = content.partition(b"\n")
        return json.loads(identity), torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except DamagedError:
        raise
    except Exception as error:  # torch raises many kinds for a foreign file
        raise DamagedError(f"{type(error).__name__}") from error


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Describe what differs; empty when nothing does."""
    changes = []
    for name in [name for name in {**found, **expected} if found.get(name) != expected.get(name)]:
        old, new = found.get(name, "none"), expected.get(name, "none")
        changes.append(f"other {name}" if max(len(old), len(new)) > LONG else f"{name} {old}, now {new}")
    return "; ".join(changes)
