"""How long a stage usually takes, by what this machine's runs have kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from typing import Any

from mnistlib.files import RunError, bytes_digest, read_json
from mnistlib.rundir import Run, existing_runs
from mnistlib.status import OK, read_status


def usual_seconds(run: Run, stage: str, parameters: Mapping[str, Any]) -> float:
    """Seconds that the stage took when it last ended well with the same work: in this run, or else in the newest other
    one. 0 when it never did.
    """
    like = likeness(run, stage, parameters)
    for kept in (read_status(one, stage) for one in [run, *existing_runs()]):
        if kept.verdict == OK and kept.like == like:
            return kept.total_seconds
    return 0.0


def likeness(run: Run, stage: str, parameters: Mapping[str, Any]) -> str:
    """Hash of what a stage's seconds depend on: its parameters, the dataset, this machine and its share of the cores.

    Run and seed make no difference, nor does the code, for a rough figure.
    """
    work = {name: value for name, value in parameters.items() if name not in ("run", "seed")}
    machine = [platform.node(), os.cpu_count(), os.environ.get("OMP_NUM_THREADS", "")]
    return bytes_digest(json.dumps([stage, work, dataset(run, stage), machine], sort_keys=True).encode())


def dataset(run: Run, stage: str) -> str:
    """The dataset that 01_data found for this run; empty for 01_data itself, which has yet to find it."""
    if stage == "01_data":
        return ""
    try:
        return str(read_json(run.raw_json, hint="").get("dataset", ""))
    except RunError:
        return ""
