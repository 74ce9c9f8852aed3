"""`make bench`: whole pipelines, timed stage by stage, as a table and in runs/bench/.

The smoke profile on the embedded digits always; the default profile on MNIST where MNIST_DIR or runs/data/raw has
it. Each pipeline runs into a run of its own that is deleted first, so that every stage executes; then once more, to
time a make that has nothing to do. With the last one's model: where PEN_STROKES names their file, the drawings of
UCI's pen digits, recognised and taught; where there is a browser, the pad's latency.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

from bench import lab
from bench.drawn import measure_drawn
from bench.latency import measure_latency
from bench.teaching import measure_teaching
from mnistlib.data import better_source_exists
from mnistlib.files import ROOT, shown, write_json
from mnistlib.predict import load_predictor
from mnistlib.rundir import RUNS, STAGE, Run
from mnistlib.status import read_status
from mnistlib.tables import Table, facts

PHASES = ("start", "imports", "work", "page")


def main() -> int:
    profiles = ["smoke", *(["default"] if better_source_exists("mnist") else [])]
    results = {profile: measure(profile) for profile in profiles}
    for profile, result in results.items():
        print(f"\n{profile}: make all {result['all_seconds']:.1f} s, again {result['again_seconds']:.2f} s")
        print(Table(result["stages"]))
        print(" ".join(f"{name}={result['metrics'][name]}" for name in ("dataset", "test_accuracy", "train_seconds")))
    kept: dict[str, Any] = {"machine": machine(), "results": results}
    best = Run(f"bench-{profiles[-1]}")
    if os.environ.get("PEN_STROKES"):
        strokes = ROOT / os.environ["PEN_STROKES"]
        kept["drawn"] = tell("drawn digits", measure_drawn(load_predictor(best.name), strokes))
        kept["teaching"] = tell("taught five drawings of each digit, by writer", measure_teaching(best, strokes))
    if lab.can_browse():
        kept["pad"] = tell(
            "the pad in JupyterLab, from pen-up to the answer", measure_latency(load_predictor(best.name))
        )
    path = RUNS / "bench" / f"pipeline-{time.strftime('%Y%m%d-%H%M%S')}.json"
    write_json(path, kept)
    print(f"\n{machine()}\nkept in {shown(path)}")
    return 0


def tell(title: str, measured: dict[str, Any]) -> dict[str, Any]:
    """Print what was measured, but for the rows behind it; returns it."""
    print(f"\n{title}:\n{facts({k: v for k, v in measured.items() if not isinstance(v, list)})}", flush=True)
    return measured


def measure(profile: str) -> dict[str, object]:
    """Seconds of a whole make all, of a second one, and of each stage's phases."""
    run = Run(f"bench-{profile}")
    shutil.rmtree(run.folder, ignore_errors=True)
    whole, again = make(profile, run), make(profile, run)
    return {
        "all_seconds": whole,
        "again_seconds": again,
        "stages": [stage_row(run, stage) for stage in STAGE],
        "metrics": json.loads(run.all_metrics.read_text(encoding="utf-8")),
    }


def make(profile: str, run: Run) -> float:
    """Seconds of `make all`; ends the benchmark when it fails."""
    began = time.perf_counter()
    command = ["make", "-C", str(ROOT), "all", f"PARAMS={profile}", f"RUN={run.name}"]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "RUN", "PARAMS", "SET")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - began


def stage_row(run: Run, stage: str) -> dict[str, object]:
    status = read_status(run, stage)
    phases = {name: round(status.seconds.get(name, 0.0), 2) for name in PHASES}
    memory = round(status.peak_memory_bytes / 1e6)
    return {"stage": stage, **phases, "total": round(status.total_seconds, 2), "peak MB": memory}


def machine() -> str:
    """Cores, processor and versions, in one line."""
    versions = " ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "papermill"))
    return f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
