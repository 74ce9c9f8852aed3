"""`make bench`: measure the project's claims again, as tables, in runs/bench/<date>/bench.json and as a page.

On 2 cores with AVX-512: 9 minutes, with QUICK=1 two, with FULL=1 forty (five seeds of every profile but `record`,
fine-tuning for all writers). With AVX2 alone it takes two to three times as long.

Without MNIST (MNIST_DIR or runs/data/raw), only the smoke pipeline is measured. Pen drawings need PEN_STROKES, the
path of UCI's file; the latency of the drawing pad needs a browser. PICTURES names a folder of real pictures.
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

from bench.accuracy.doodles import measure_doodles
from bench.accuracy.fine_tuning import measure_fine_tuning
from bench.accuracy.pen_drawings import measure_pen_drawings
from bench.accuracy.pictures import as_table, measure_pictures
from bench.accuracy.profiles import measure_profiles
from bench.accuracy.tutorial import GOAL, measure_tutorial
from bench.browser import lab
from bench.page import write_page
from bench.pictures.other_readers import compare
from bench.speed.image_files import measure_image_files
from bench.speed.inference import measure_inference
from bench.speed.latency import measure_latency
from bench.speed.pipeline import measure_pipeline, print_pipeline
from bench.speed.scaling import measure_scaling
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
PICTURES = 15 if QUICK else 300 if FULL else 60  # drawings per rendered condition
WRITER_STEP = 1 if FULL else 3  # fine-tune on every writer's drawings, or on every third writer's


def main() -> int:
    results: dict[str, Any] = {"machine": machine(), "date": time.strftime("%Y-%m-%d %H:%M"), "pipelines": {}}
    folder = RUNS / "bench" / time.strftime("%Y%m%d-%H%M%S")
    try:
        measure(results)
    finally:  # keep what was measured before a failure
        write_json(folder / "bench.json", results)
        write_page(folder / "index.html", results)
        print(f"\n{machine()}\nresults: {shown(folder / 'bench.json')}; page: {shown(folder / 'index.html')}")
    return 0


def measure(results: dict[str, Any]) -> None:
    """Add one measurement after the other to `results`."""
    has_mnist = better_source_exists("mnist")
    if has_mnist:
        measure_training(obtain("mnist"), results)
    for profile in PIPELINES if has_mnist else ("smoke",):
        results["pipelines"][profile] = measure_pipeline(profile)
        print_pipeline(profile, results["pipelines"][profile])
    if "default" in results["pipelines"]:
        measure_predictions(Run("bench-default"), results)


def measure_training(raw: Raw, results: dict[str, Any]) -> None:
    """Train the profiles and the tutorial recipe in one process, and compare how soon each reaches 99 %."""
    profiles = measure_profiles(PROFILES, raw, SEEDS, results.setdefault("profiles", []))
    if not QUICK:
        results["scaling"] = measure_scaling(raw)
        print(f"\none epoch of the default recipe, from a memory map:\n{Table(results['scaling'])}", flush=True)
    tutorial = results["tutorial"] = measure_tutorial(raw, TUTORIAL_SECONDS)
    print(f"\nthe tutorial recipe, epoch by epoch:\n{Table(tutorial['epochs'])}", flush=True)
    reaching = [row["train_seconds"] for row in profiles if row["test_accuracy"] >= GOAL]
    if reaching:
        reached = bool(tutorial["seconds_to_99"])
        spent = tutorial["seconds_to_99"] or tutorial["epochs"][-1]["seconds"]
        tutorial |= {"times_longer_to_99": spent / min(reaching), "reached_99": reached}
        took = f"{spent:.0f} s" if reached else f"not reached after {spent:.0f} s"
        ratio = f"{'' if reached else 'more than '}{tutorial['times_longer_to_99']:.0f} times as long"
        print(f"to {GOAL:.1%}: the tutorial recipe {took}, the fastest profile {min(reaching):.1f} s: {ratio}")


def measure_predictions(run: Run, results: dict[str, Any]) -> None:
    """Measure the run's model: speed, image files, doodles, pen drawings, fine-tuning and the pad's latency."""
    predictor = load_predictor(run.name)
    noise = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), np.uint8)
    results["inference"] = reported("inference", measure_inference(predictor, noise))
    mnist = obtain("mnist")
    files = measure_image_files(predictor, mnist.test_images, mnist.test_labels)
    results["image_files"] = reported("image files: a quarter each plain, negative, enlarged ten times, both", files)
    results["doodles"] = reported("letters and doodles, none of them a digit", measure_doodles(predictor))
    if os.environ.get("PEN_STROKES"):
        strokes = ROOT / os.environ["PEN_STROKES"]
        results["pen_drawings"] = reported("pen drawings of digits", measure_pen_drawings(predictor, strokes))
        tuned = measure_fine_tuning(run, strokes, WRITER_STEP)
        results["fine_tuning"] = reported("fine-tuned on five drawings per digit of one writer", tuned)
        results["pictures"] = measure_pictures(run.name, "report", PICTURES)
        print(f"\npictures:\n{as_table(results['pictures'])}", flush=True)
    if os.environ.get("PICTURES"):
        results["other_readers"] = compare(ROOT / os.environ["PICTURES"])
        print(f"\nother readers, where installed:\n{Table(results['other_readers'])}", flush=True)
    if lab.can_browse():
        results["pad"] = reported("the drawing pad in JupyterLab, from pen-up to answer", measure_latency(predictor))


def reported(title: str, measured: dict[str, Any]) -> dict[str, Any]:
    """Print the figures, without the lists behind them; return them unchanged."""
    print(f"\n{title}:\n{facts({k: v for k, v in measured.items() if not isinstance(v, list)})}", flush=True)
    return measured


def machine() -> str:
    """Return cores, processor, its vector features, threads and versions in one line."""
    versions = " ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "papermill"))
    features = ", ".join([processor(), *(fast_features() or ["neither AVX-512 nor bf16"])])
    hardware = f"{cores()} cores {platform.machine()} ({features}), {torch.get_num_threads()} threads"
    return f"{hardware}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
