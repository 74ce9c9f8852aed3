"""Every file that a run, a person or the project may hold is damaged and read: it is taken, or refused in words.

FUZZ_CASES is how many damaged files are read, 600 here and 10,000 in `make soak`. A case may raise RunError, or what
its reader's docstring names. It may not run past 5 seconds, start a process or write outside `runs/`.
"""

import gzip
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistlib.core import config, files
from mnistlib.core.errors import RunError
from mnistlib.data import idx, locations, preprocess
from mnistlib.data.loading import load_raw
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.imaging.image_files import read_batches
from mnistlib.inference import predictor as predict
from mnistlib.inference import terminal_output
from mnistlib.inference.drawings import describe_drawing, load_drawings, save_drawing
from mnistlib.pipeline import plan, verify
from mnistlib.reporting import front_page, notebook_html, runs_table
from mnistlib.reporting.card_facts import class_rows, load_facts
from mnistlib.reporting.explorer import explore_data
from mnistlib.reporting.run_summary import describe_run, describe_stage, headline_facts
from mnistlib.runs import fingerprint, layout, state
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_weights
from mnistlib.runs.receipt import load_receipt, make_receipt
from mnistlib.runs.record import read_record
from mnistlib.runs.reproducibility import judge
from mnistlib.runs.stages import STAGE
from mnistlib.training import checkpoint
from mnistlib.training.checkpoint import DamagedError
from mnistlib.training.history import load_history
from mnistlib.training.model import load_model
from mnistlib.training.numpy_network import read_state
from tests.conftest import Project
from tests.damage import SECONDS, TooSlowError, damage, put_back, watch

CASES = int(os.environ.get("FUZZ_CASES", "600"))


@dataclass(frozen=True)
class Reader:
    """Something that reads a run's files: `paths` in its folder, its `share` of the cases (less for a slow one), and
    what it may raise besides RunError."""

    read: Callable[[Run], Any]
    paths: tuple[str, ...]
    share: float = 1.0
    raises: tuple[type[Exception], ...] = ()


def answer(predictor: predict.Predictor) -> None:
    """A predictor that loads gives finite probabilities."""
    (found,) = predictor.images(np.full((1, 28, 28), 100, np.uint8))
    assert np.isfinite(found.probabilities).all()


def judged(run: Run) -> None:
    """A receipt on either side of the judge, and what verify takes from it."""
    kept = load_receipt(run)
    made = make_receipt(run, [read_record(run, stage) for stage in STAGE])
    verify.summary(run, kept, judge(kept, made)[0] + judge(made, kept)[0] + verify.written_to(run, kept), [])
    verify.parameters_again(kept)
    verify.environment(kept)


def described(run: Run) -> None:
    """A run in words, as pages tell it."""
    describe_run(run), [describe_stage(run, stage) for stage in STAGE], headline_facts(run), runs_table.summarize(run)


def unpacked(run: Run) -> None:
    path = run.folder / "odd.idx"
    if path.is_file():  # as `data.read_file` asks first
        idx.parse(idx.unpack(path), path.name)


def cells_of(run: Run) -> None:
    path = run.notebook("06_infer")
    fingerprint.parameter_values(path), fingerprint.cell_digests(path), fingerprint.code_digests(path)


def arrays(run: Run) -> None:
    """Arrays whose checksums hold, as in a run that somebody made to deceive."""
    for path in filter(Path.is_file, run.processed.glob("*.npy")):
        preprocess.load_array(path, {path.name: files.file_digest(path)})


def text_of(path: Path) -> str:
    """What a person may have typed."""
    return path.read_bytes()[:100_000].decode(errors="surrogateescape") if path.is_file() else ""


def weights(run: Run) -> None:
    """Weights whose checksum holds, read by torch and without it."""
    if run.weights.is_file():
        with suppress(Exception):  # whatever it is, torch decides then
            read_state(run.weights.read_bytes())
        read_weights(run, files.file_digest(run.weights))


STATUS, METRICS = (tuple(f"{folder}/{stage}.json" for stage in STAGE) for folder in ("status", "metrics"))
TAUGHT = "../smoke-taught/reports/teach.json"
WEIGHTS = "models/pytorch_mnist_model.pth"
MODEL = ("models/model.json", "models/calibration.json")
ARRAYS = ("reports/embeddings/embeddings.npz", "reports/embeddings/tsne.npz", "reports/test_predictions.npz")
NAMES = {ARRAYS[0]: ["embeddings"], ARRAYS[1]: ["points", "indices"], ARRAYS[2]: ["logits", "labels"]}
READERS = {
    "read_record": Reader(lambda run: [read_record(run, stage) for stage in STAGE], STATUS),
    "plan": Reader(lambda run: plan.plan(run, config.load("smoke"), "all"), (*STATUS, "data/raw.json", *MODEL), 0.3),
    "standing": Reader(state.current_records, (*STATUS, "params/params.yaml")),
    "describe": Reader(described, (*METRICS, *STATUS, "data/raw.json", "models/history.json"), 0.5),
    "receipt": Reader(judged, ("receipt.json",) * 4),
    "model.json": Reader(load_model, ("models/model.json",)),
    "load_predictor": Reader(lambda run: answer(predict.load_predictor(run.folder)), (*MODEL, WEIGHTS), 0.5),
    "quick_predictor": Reader(lambda run: answer(predict.quick_predictor(run.folder)), MODEL),
    "weights": Reader(weights, (WEIGHTS,), 0.5),
    "calibration": Reader(load_calibration, MODEL[1:]),
    "card": Reader(load_facts, (*MODEL, "data/raw.json")),
    "raw.json": Reader(
        lambda run: (
            locations.previous_dataset(run),
            locations.raw_files_present(files.read_json(run.raw_json, "")),
            load_raw(run),
        ),
        ("data/raw.json",),
        0.1,
    ),
    "statistics": Reader(
        lambda run: (preprocess.data_line(run), preprocess.load_split(run, "val")), ("data/processed/statistics.json",)
    ),
    "arrays": Reader(arrays, ("data/processed/val_images.npy", "data/processed/val_labels.npy")),
    "npz": Reader(lambda run: [files.read_arrays(run.folder / p, NAMES[p], "") for p in ARRAYS], ARRAYS),
    "explore": Reader(lambda run: (explore_data(run), class_rows(run, list("0123456789"))), ARRAYS, 0.2),
    "history": Reader(load_history, ("models/history.json",)),
    "overview": Reader(lambda run: runs_table.write_runs_table_page(), ("status/summary.json", TAUGHT), 0.5),
    "drawings": Reader(load_drawings, ("data/inference/drawings/*/drawing.json",)),
    "pad.json": Reader(front_page.read_browser_pad, ("reports/pad.json", *MODEL)),
    "params": Reader(lambda run: config.check(config.load_file(run.params()), "here"), ("params/params.yaml",), 0.5),
    "SET": Reader(lambda run: config.load("smoke", text_of(run.folder / "set.txt")), ("set.txt",)),
    "idx": Reader(unpacked, ("odd.idx",)),
    "pictures": Reader(lambda run: list(read_batches([run.figure("samples")], 1)), ("reports/figures/samples.png",)),
    "cells": Reader(cells_of, ("notebooks/06_infer.ipynb",)),
    "executed": Reader(
        lambda run: notebook_html.read_notebook(run.notebook("03_train")), ("notebooks/03_train.ipynb",)
    ),
    "modules": Reader(lambda run: fingerprint.kept_digests(), ("modules.json",)),
    "checkpoint": Reader(lambda run: checkpoint.read_checkpoint(run.folder / "e.pt"), ("e.pt",), 1.0, (DamagedError,)),
    "terminal_output": Reader(terminal_output.results_message, ("data/inference/predictions.csv",)),
}


def fault_of(reader: Reader, run: Run) -> str:
    """What reading does that it may not; empty where it gives something or refuses in words."""
    for cached in (state.compute_records, fingerprint.kept_digests):
        cached.cache_clear()
    watch().seen.clear()
    try:
        with watch().over(run.folder.parent):
            reader.read(run)
    except (RunError, *reader.raises):
        pass
    except TooSlowError:
        return f"ran past {SECONDS} s{traceback.format_exc(limit=-3)}"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.100} at {traceback.extract_tb(error.__traceback__)[-1]}"
    return ", ".join(watch().seen)


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of all that lies in a folder, but for its runs."""
    stats = {path: path.lstat() for path in folder.rglob("*") if "runs" not in path.parts}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


@pytest.fixture(scope="module")
def run(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A finished run with all that can lie in one."""
    project = smoke.copy(tmp_path_factory.mktemp("fuzz") / "my project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "RUNS", project.run().parent)
        patch.setattr(sys, "dont_write_bytecode", True)
        was = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
        run = Run("smoke")
        strokes = [[(10.0, 10.0), (10.0, 60.0)]]
        predictor = predict.quick_predictor("smoke")
        save_drawing(run, describe_drawing(strokes, predictor.strokes(strokes), predictor.model))
        scores = dict.fromkeys(runs_table.FINE_TUNED_METRICS, 1.0) | {"fine_tuned_from": "smoke"}
        files.write_text(run.folder / TAUGHT, json.dumps(scores))
        (run.folder / "odd.idx").write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0\0\0\x0a" * 3 + bytes(1000)))
        (run.folder / "set.txt").write_text('train.epochs=3 data.samples=10 infer.input="a b" train.widths=[8, 8, 8]')
        (run.folder / "modules.json").write_text(json.dumps({"a" * 64: ["b" * 64, ["mnistlib.core.files"]]}))
        patch.setattr(verify, "code_version", lambda: "")  # asks git, of this project and of nothing received
        patch.setattr(fingerprint, "module_cache", lambda: run.folder / "modules.json")
        checkpoint.write_checkpoint(run.folder / "e.pt", {"a": "b"}, {"epoch": 1})
        yield run
        for number, handler in was.items():
            signal.signal(number, handler)


def stop(*_: Any) -> None:
    raise TooSlowError


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_words(run: Run, name: str) -> None:
    reader, faults, around = READERS[name], list[str](), run.folder.parents[2]
    sound = {path: path.read_bytes() for pattern in reader.paths for path in run.folder.glob(pattern)}
    reader.read(run)
    before = snapshot(around)
    for case in range(round(CASES * reader.share / sum(one.share for one in READERS.values()))):
        chance = random.Random(f"{name} {case}")
        path = chance.choice([*sound])
        try:
            how = damage(path, chance)
            fault = fault_of(reader, run)
        finally:
            put_back(path, sound[path])
        if fault:
            faults.append(f"case {case}, {how} {path.name}: {fault}")
        if "ran past" in fault:
            break
    assert snapshot(around) == before
    assert not faults, "\n".join(faults)
