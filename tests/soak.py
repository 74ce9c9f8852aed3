"""Kill a run at random moments of every stage, finish it with plain `make all`, and look for a difference.

`make soak KILLS=100 SEED=0`: a line for each kill, a summary, exit code 1 when anything was lost or left behind.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import yaml

from mnistlib.core.files import file_digest
from mnistlib.training.checkpoint import read_checkpoint
from tests.conftest import Project

GOALS = ("data", "preprocess", "train", "evaluate", "features", "all")
QUICK = (
    "data.samples=10 train.synthetic_ink=0.01 train.outliers=0.01 train.epochs=20 evaluate.mistakes=4 "
    "evaluate.corrupted=0 evaluate.outliers=0 features.tsne_samples=100 infer.examples=4"
)
SMALLEST = ("PARAMS=smoke", "RUN=soak", f"SET={QUICK}")  # epochs enough for some kills to fall between two
WAYS = ("SIGKILL to all", "SIGKILL to the kernel", "SIGKILL to the runner", "SIGTERM to make", "SIGINT to all")
WEIGHTS = (4, 1, 1, 1, 1)
NAMED = {
    "SIGKILL to the kernel": "mnistlib.pipeline.kernel_server",
    "SIGKILL to the runner": "mnistlib execute",
}
PATIENCE = 15  # seconds in which processes must be gone
READERS = {
    ".json": lambda path: json.loads(path.read_text()),
    ".ipynb": lambda path: json.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".npy": lambda path: np.load(path, mmap_mode="r"),
    ".npz": lambda path: list(np.load(path).values()),
    ".pth": lambda path: torch.load(path, weights_only=True),
    ".pt": read_checkpoint,
    ".html": lambda path: path.read_text().rindex("</html>"),
    ".png": lambda path: path.read_bytes().rindex(b"IEND"),
}


class Soak:
    """A project whose run is killed again and again; a copy of its runs/ from before each stage to start from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.project = folder, Project(folder / "my project")
        self.temporary = folder / "t"
        self.temporary.mkdir()
        self.runs, self.run = self.project.folder / "runs", self.project.run("soak")

    def make(self, goal: str) -> tuple[int, str]:
        done = self.project.make(goal, *SMALLEST, TMPDIR=str(self.temporary))
        return done.code, done.text

    def prepare(self) -> None:
        """One run that nobody kills, stage by stage; exits when it fails."""
        self.seconds = []
        self.runs.mkdir()
        for place, goal in enumerate(GOALS):
            shutil.copytree(self.runs, self.folder / f"before-{place}")
            began = time.perf_counter()
            code, text = self.make(goal)
            self.seconds.append(time.perf_counter() - began)
            if code:
                sys.exit(text)
        self.expected = self.outcome()

    def outcome(self) -> dict[str, Any]:
        """What must be the same whatever was killed: metrics but for seconds and bytes, and the weights."""
        weights = file_digest(self.run / "models" / "pytorch_mnist_model.pth")
        return self.project.lasting_metrics("soak") | {"weights": weights}

    def kill(self, place: int, share: float, way: str) -> tuple[str, list[str]]:
        """Start before a stage, kill when a share of its seconds is over, and finish: what happened, what is wrong."""
        shutil.rmtree(self.runs)
        shutil.copytree(self.folder / f"before-{place}", self.runs, copy_function=shutil.copyfile)
        wait = share * self.seconds[place]
        with (self.folder / "killed.txt").open("w+") as output:
            make = self.project.start("all", *SMALLEST, output=output, TMPDIR=str(self.temporary))
            time.sleep(wait)
            way = strike(make, way)
            make.wait(timeout=120)
            output.seek(0)
            reached = [line.split()[1] for line in output if line.startswith("── ")] or ["before any stage"]
        wrong = [f"a process lives on: {name}" for name in self.living()]
        scatter_times(self.runs, share)
        wrong += [f"half written: {path}" for path in self.half_written()]
        began = time.perf_counter()
        code, text = self.make("all")
        resumed = [line.strip() for line in text.splitlines() if "resumed after" in line]
        story = f"{reached[-1]}, {wait:.1f} s after the start, {way}; finished in {time.perf_counter() - began:.0f} s"
        return ", ".join([story, *resumed]), wrong + ([text] if code else self.differences())

    def differences(self) -> list[str]:
        """What is not as if nobody had killed."""
        found = self.outcome()
        names = [name for name in {**found, **self.expected} if found.get(name) != self.expected.get(name)]
        wrong = [f"{name} is {found.get(name)}, expected {self.expected.get(name)}" for name in names]
        left = [*self.runs.rglob("*.part*"), *self.temporary.glob("mnistlib-*"), *self.run.glob("checkpoints")]
        wrong += [f"left behind: {path}" for path in left]
        return wrong + [f"half written: {path}" for path in self.half_written()]

    def living(self) -> list[str]:
        """Processes in the project's folder that do not end within some seconds."""
        for _ in range(PATIENCE * 10):
            there = [p for p in psutil.process_iter(["cwd", "status", "cmdline"]) if self.is_ours(p.info)]
            if not there:
                return []
            time.sleep(0.1)
        return [" ".join(p.info["cmdline"] or ["?"]) for p in there]

    def is_ours(self, info: dict[str, Any]) -> bool:
        inside = bool(info["cwd"]) and Path(info["cwd"]).is_relative_to(self.project.folder)
        return inside and info["status"] != psutil.STATUS_ZOMBIE

    def half_written(self) -> list[Path]:
        """Files under their final names that cannot be read to their end."""
        broken = []
        for path in self.runs.rglob("[!.]*.*"):
            try:
                READERS.get(path.suffix, Path.stat)(path)
            except Exception:  # whatever the reader makes of it
                broken.append(path)
        return broken


def scatter_times(folder: Path, seed: float) -> None:
    """Give every file a time of its own, past or to come: none of them may matter."""
    chance = random.Random(seed)
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (chance.uniform(1e9, 3e9),) * 2)


def strike(make: subprocess.Popen[str], way: str) -> str:
    """End a make in one of the ways; returns the way that it was."""
    if make.poll() is not None:
        return "which had ended"
    if way in NAMED:
        found = [p for p in psutil.Process(make.pid).children(recursive=True) if is_named(p, NAMED[way])]
        if found:
            found[-1].kill()  # a kernel comes after the process that forks it, and has its name
            return way
        way = "SIGKILL to all"
    if way == "SIGTERM to make":
        make.terminate()
    else:
        os.killpg(make.pid, signal.SIGINT if way == "SIGINT to all" else signal.SIGKILL)
    return way


def is_named(process: psutil.Process, name: str) -> bool:
    try:
        return name in " ".join(process.cmdline())
    except psutil.Error:
        return False


def main() -> int:
    """KILLS and SEED come from the environment; returns the exit code."""
    try:
        kills, seed = int(os.environ.get("KILLS") or 100), int(os.environ.get("SEED") or 0)
    except ValueError:
        print("KILLS and SEED are whole numbers: make soak KILLS=8 SEED=0", file=sys.stderr)
        return 2
    began, chance, counted, failed = time.perf_counter(), random.Random(seed), Counter(), 0
    soak = Soak(Path(tempfile.mkdtemp(prefix="soak-")))
    soak.prepare()
    print(f"stages by themselves take {', '.join(f'{s:.1f}' for s in soak.seconds)} s; SEED={seed}", flush=True)
    places = [place for _ in range(0, kills, len(GOALS)) for place in chance.sample(range(len(GOALS)), len(GOALS))]
    for number, place in enumerate(places[:kills]):
        share, (way,) = chance.random(), chance.choices(WAYS, WEIGHTS)
        story, wrong = soak.kill(place, share, way)
        counted.update(word for word in ("resumed", "had ended") if word in story)
        failed += bool(wrong)
        print(f"{number + 1:3d} of {kills}: {story}: {'WRONG' if wrong else 'same'}", *wrong, sep="\n     ", flush=True)
    said = f"{kills - failed} of {kills} ended as if nobody had killed them, {counted['resumed']} by resuming training"
    print(f"{said}; {counted['had ended']} kills came too late; {time.perf_counter() - began:.0f} s")
    if failed:
        print(f"to look at what is left of the last: {soak.folder}")
        return 1
    shutil.rmtree(soak.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
