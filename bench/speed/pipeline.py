"""Time `make all` stage by stage in a fresh run, and then a second `make all`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

from mnistlib.core.files import ROOT, shown
from mnistlib.core.formatting import Table
from mnistlib.runs.layout import Run
from mnistlib.runs.record import read_record
from mnistlib.runs.stages import STAGE

PHASES = ("start", "imports", "work")


def measure_pipeline(profile: str) -> dict[str, object]:
    """Return the seconds of `make all`, of a second one, and of the phases of each stage."""
    run = Run(f"bench-{profile}")
    if run.drawings.is_dir():
        sys.exit(f"{shown(run.drawings)} holds drawings; move them elsewhere to run the benchmark")
    shutil.rmtree(run.folder, ignore_errors=True)
    whole, again = make(profile, run), make(profile, run)
    return {
        "all_seconds": whole,
        "again_seconds": again,
        "stages": [stage_row(run, stage) for stage in STAGE],
        "metrics": json.loads(run.all_metrics.read_text(encoding="utf-8")),
    }


def make(profile: str, run: Run) -> float:
    """Return the seconds of `make all`; exit with its output if it fails."""
    began = time.perf_counter()
    command = ["make", "-C", str(ROOT), "all", f"PARAMS={profile}", f"RUN={run.name}"]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "RUN", "PARAMS", "SET")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - began


def stage_row(run: Run, stage: str) -> dict[str, object]:
    status = read_record(run, stage)
    phases = {name: round(status.seconds.get(name, 0.0), 2) for name in PHASES}
    memory = round(status.peak_memory_bytes / 1e6)
    return {"stage": stage, **phases, "total": round(status.total_seconds, 2), "peak MB": memory}


def print_pipeline(profile: str, result: dict[str, object]) -> None:
    """Print the table of a pipeline's stages."""
    print(f"\n{profile}: make all {result['all_seconds']:.1f} s, again {result['again_seconds']:.2f} s")
    print(Table(result["stages"], decimals=2))  # type: ignore[arg-type]
