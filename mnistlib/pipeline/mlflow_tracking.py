"""A finished run logged to MLflow, for those who have a tracker: the last step of `TRACKING=mlflow make all`.

What has been logged is the tracker's to say: a run is looked for there by what its stages became, and is logged when it
is not found, or finished when its logging was cut short. MLflow is imported here alone, and only when asked for.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import re
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest
from mnistlib.core.log import PlainFormatter, log_to, logger
from mnistlib.core.system_info import pip_install
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.record import read_record
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import merged_metrics, parameters_used
from mnistlib.training.history import load_history

NEEDED = "mlflow"
EXPERIMENT = "digit-classifier"
TAG = "mnistlib.stages"
ADDRESS = re.compile(r"\w[\w+.-]*://[^\s'\"<>)]+")
BETWEEN = re.compile("[/?#&=;:@]+")  # what stands between the pieces of an address
AT_ONCE = 100  # the most parameters that MLflow takes in one request
SETTINGS = {  # each can be set otherwise: a person waits, and this pipeline tells nobody of its use
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def track_run(name: str) -> int:
    """Log the run to `MLFLOW_TRACKING_URI`, or to runs/mlflow.db. Return 0: a good run stays one."""
    run = Run(name)
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(PlainFormatter())
    log_to(run.log, "tracking", terminal)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{os.path.relpath(layout.tracking_database())}"
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # MLflow's own words hold its address
            result = log_run(run, uri)
        logger.info("  %-20s %s", "tracking", result)
    except Exception as error:  # whatever stopped it, the run is whole and the reader is to know what to do
        why = without_secrets(f"{type(error).__name__}: {error}", uri).split("\n")[0]
        logger.error("  not logged to MLflow at %s: %s", told_address(uri), why)
        logger.error("  The run itself is whole. To log it: TRACKING=mlflow make all RUN=%s", run.name)
    return 0


def check_tracking(tracker: str) -> None:
    """Raises RunError when TRACKING names no tracker that can be had, before anything is executed."""
    if tracker not in ("", "mlflow"):
        raise RunError(f"TRACKING is {tracker!r}; it can be mlflow, or nothing")
    if tracker and not importlib.util.find_spec(NEEDED):
        raise RunError(f"TRACKING=mlflow needs {NEEDED}, which is not installed: {pip_install(NEEDED)}")


def log_run(run: Run, uri: str) -> str:
    """Log parameters, metrics and files of the run unless they are there; return what to print. Raises as MLflow does.

    Metrics keep their names, those of each epoch are `epochs/<name>` with the epoch as step, those in words are tags.
    Files lie in MLflow as they do in the run.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client, statuses = MlflowClient(uri), [read_record(run, stage) for stage in STAGE]
    finished = int(max(time.mktime(time.strptime(status.finished, "%Y-%m-%d %H:%M:%S")) for status in statuses) * 1000)
    began = finished - int(sum(status.total_seconds for status in statuses) * 1000)
    experiment, digest = experiment_id(client, uri), stages_digest(run)
    found = client.search_runs([experiment], f"tags.`{TAG}` = '{digest}'", max_results=1)
    if found and found[0].info.status == "FINISHED":
        return f"logged before, as {found[0].info.run_id} in {told_address(uri)}"
    numbers, words = measured(run)
    tags = words | {"run": run.name, "code": ", ".join(sorted({s.commit for s in statuses} - {""})), TAG: digest}
    logged = (found or [client.create_run(experiment, began, tags, run.name)])[0].info.run_id
    metrics = [Metric(name, value, finished, step) for name, value, step in numbers]
    params = [Param(name, str(value)) for name, value in parameters_used(run).items()]
    for start in range(0, max(len(metrics), len(params)), AT_ONCE):
        chosen = slice(start, start + AT_ONCE)
        client.log_batch(logged, metrics[chosen], params[chosen])
    for path in worth_keeping(run):
        client.log_artifact(logged, str(path), path.parent.relative_to(run.folder).as_posix())
    client.set_terminated(logged, "FINISHED", finished)
    counts = f"{len(params)} parameters, {len(metrics)} metrics, {len(worth_keeping(run))} files"
    return f"{counts} as {logged} in {told_address(uri)}"


def experiment_id(client: Any, uri: str) -> str:
    """The experiment that `MLFLOW_EXPERIMENT_NAME` names, or ours, made when it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    there = client.get_experiment_by_name(name)
    artifacts = None if re.match("https?:", uri) else layout.tracking_artifacts().as_uri()
    return str(there.experiment_id if there else client.create_experiment(name, artifacts))


def stages_digest(run: Run) -> str:
    """What became of the run's stages, as one hash: another as soon as one of them is executed again."""
    return bytes_digest(b"".join([run.name.encode(), *(run.status(stage).read_bytes() for stage in STAGE)]))


def measured(run: Run) -> tuple[list[tuple[str, float, int]], dict[str, str]]:
    """Metrics that are numbers, as name, value and step, with those of each epoch; and those that are words."""
    metrics = merged_metrics(run)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    epochs = [asdict(epoch) for epoch in load_history(run)]
    curves = [(f"epochs/{k}", float(v), int(e["epoch"])) for e in epochs for k, v in e.items() if k != "epoch"]
    words = {name: str(value) for name, value in metrics.items() if name not in numbers}
    return [*((name, float(value), 0) for name, value in numbers.items()), *curves], words


def worth_keeping(run: Run) -> list[Path]:
    """What goes to a tracker: parameters, executed notebooks, the model, figures and metrics."""
    patterns = ("params/params.yaml", "notebooks/??_*.ipynb", "models/[!.]*.*", "reports/figures/[!.]*")
    return sorted(path for name in (*patterns, "reports/metrics.json") for path in run.folder.glob(name))


def told_address(uri: str) -> str:
    """Scheme, host and port of an address; of a file or a database file, which has no host, all before `?` and `#`."""
    scheme, mark, rest = uri.partition("://")
    if not mark or rest.startswith("/"):
        place = re.split("[?#]", uri)[0]
        return place if mark or "@" not in place else "…"
    host, *after = re.split("[/?#]", rest, maxsplit=1)
    host = host.rpartition("@")[2]
    sure = re.fullmatch(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?", host) and "@" not in "".join(after)
    return f"{scheme}://{host if sure else '…'}"


def without_secrets(text: str, uri: str) -> str:
    """Return the text with each address cut down to scheme, host and port, and `…` for the other pieces of `uri`.

    A name, password or token may stand anywhere in an address; messages hold it whole, in parts, encoded or decoded.
    """
    address = told_address(uri)
    text = ADDRESS.sub(lambda found: told_address(found[0]), text.replace(uri, address))
    secrets = set(BETWEEN.split(uri)) - set(BETWEEN.split(address))
    forms = {
        form for piece in secrets for form in (piece, unquote(piece), unquote_plus(piece), quote(unquote(piece), ""))
    }
    for form in sorted(forms - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "…", text)
    return text
