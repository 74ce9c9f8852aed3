"""`make bench`: what the project claims, measured again, as a table, in runs/bench/<date>/bench.json and as a page.

QUICK=1 takes two minutes, without it nine, FULL=1 forty (five seeds of every profile but record, and all people's
drawings taught); with AVX2 alone twice as long, FULL=1 two hours.
Without MNIST, from MNIST_DIR or runs/data/raw, the smoke pipeline alone. Else profiles seed by seed beside the recipe
that everybody starts from, cost against the size of the data, the default pipeline, how fast it answers, picture files
among it; where PEN_STROKES names their file, UCI's pen drawings, recognised and taught; where there is a browser, the
pad's latency.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from bench import lab
from bench.doodles import measure_doodles
from bench.drawn import measure_drawn
from bench.inference import measure_inference
from bench.latency import measure_latency
from bench.page import write_page
from bench.pipeline import measure_pipeline, tell_pipeline
from bench.profiles import measure_profiles
from bench.scaling import measure_scaling
from bench.scans import measure_scans
from bench.teaching import measure_fine_tuning
from bench.tutorial import GOAL, measure_tutorial
from mnistlib.core.files import ROOT, shown, write_json
from mnistlib.core.formatting import Table, facts
from mnistlib.core.system_info import cores, fast_features, processor
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.data.locations import better_source_exists
from mnistlib.inference.predictor import load_predictor
from mnistlib.runs.layout import RUNS, Run

QUICK, FULL = (os.environ.get(name, "") not in ("", "0") for name in ("QUICK", "FULL"))
PROFILES = ("fast",) if QUICK else ("fast", "fast-30s", "default", "tiny", "best") if FULL else ("fast", "default")
SEEDS = range(1 if QUICK else 5 if FULL else 3)
TUTORIAL_SECONDS = 60 if QUICK else 1200 if FULL else 240
PIPELINES = ("smoke",) if QUICK else ("smoke", "default") if FULL else ("default",)
ONE_IN = 1 if FULL else 3  # of so many people, one's drawings are taught


def main() -> int:
    kept: dict[str, Any] = {"machine": machine(), "date": time.strftime("%Y-%m-%d %H:%M"), "pipelines": {}}
    folder = RUNS / "bench" / time.strftime("%Y%m%d-%H%M%S")
    try:
        measure(kept)
    finally:  # what was measured before something failed is not lost
        write_json(folder / "bench.json", kept)
        write_page(folder / "index.html", kept)
        print(f"\n{machine()}\nkept in {shown(folder / 'bench.json')}; the page: {shown(folder / 'index.html')}")
    return 0


def measure(kept: dict[str, Any]) -> None:
    """Measure one part after the other into `kept`."""
    there = better_source_exists("mnist")
    if there:
        measure_training(obtain("mnist"), kept)
    for profile in PIPELINES if there else ("smoke",):
        kept["pipelines"][profile] = measure_pipeline(profile)
        tell_pipeline(profile, kept["pipelines"][profile])
    if "default" in kept["pipelines"]:
        measure_answers(Run("bench-default"), kept)


def measure_training(raw: Raw, kept: dict[str, Any]) -> None:
    """Profiles and the plain recipe, on the same machine in the same call; and how much sooner 99 % is reached."""
    profiles = measure_profiles(PROFILES, raw, SEEDS, kept.setdefault("profiles", []))
    if not QUICK:
        kept["scaling"] = measure_scaling(raw)
        print(f"\none epoch of the default recipe, from a memory map:\n{Table(kept['scaling'])}", flush=True)
    plain = kept["tutorial"] = measure_tutorial(raw, TUTORIAL_SECONDS)
    print(f"\nthe plain recipe, epoch by epoch:\n{Table(plain['epochs'])}", flush=True)
    good = [row["train_seconds"] for row in profiles if row["test_accuracy"] >= GOAL]
    if good:
        reached, spent = bool(plain["seconds_to_99"]), plain["seconds_to_99"] or plain["epochs"][-1]["seconds"]
        plain |= {"times_longer_to_99": spent / min(good), "reached_99": reached}
        told = f"{spent:.0f} s" if reached else f"not yet after {spent:.0f} s"
        times = f"{'' if reached else 'more than '}{plain['times_longer_to_99']:.0f} times"
        print(f"to {GOAL:.1%}: the plain recipe {told}, ours {min(good):.1f} s: {times}")


def measure_answers(run: Run, kept: dict[str, Any]) -> None:
    """How fast the run's model answers, drawings recognised and taught, and the pad's latency."""
    predictor = load_predictor(run.name)
    noise = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), np.uint8)
    kept["inference"] = tell("answers", measure_inference(predictor, noise))
    mnist = obtain("mnist")
    scans = measure_scans(predictor, mnist.test_images, mnist.test_labels)
    kept["scans"] = tell("picture files, a quarter each plain, negative, enlarged ten times, both", scans)
    kept["doodles"] = tell("letters and doodles, none of them a digit", measure_doodles(predictor))
    if os.environ.get("PEN_STROKES"):
        strokes = ROOT / os.environ["PEN_STROKES"]
        kept["drawn"] = tell("drawn digits", measure_drawn(predictor, strokes))
        kept["teaching"] = tell(
            "taught five drawings of each digit, by writer", measure_fine_tuning(run, strokes, ONE_IN)
        )
    if lab.can_browse():
        kept["pad"] = tell("the pad in JupyterLab, from pen-up to the answer", measure_latency(predictor))


def tell(title: str, measured: dict[str, Any]) -> dict[str, Any]:
    """Print what was measured, but for the rows behind it; returns it."""
    print(f"\n{title}:\n{facts({k: v for k, v in measured.items() if not isinstance(v, list)})}", flush=True)
    return measured


def machine() -> str:
    """Cores, processor with what makes it fast, threads and versions, in one line."""
    versions = " ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "papermill"))
    known = ", ".join([processor(), *(fast_features() or ["neither AVX-512 nor bf16"])])
    hardware = f"{cores()} cores {platform.machine()} ({known}), {torch.get_num_threads()} threads"
    return f"{hardware}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
