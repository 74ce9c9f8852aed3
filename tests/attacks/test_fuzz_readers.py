"""Every file that a run, a person or the project may hold is damaged and read: it is taken, or refused in words.

FUZZ_CASES is how many damaged files are read, 600 here and 10,000 in `make soak`. A case may raise RunError, or what
its reader's docstring names. It may not run past 5 seconds, start a process or write outside the run's folder.
"""

import faulthandler
import gzip
import io
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistlib import (
    answers,
    checkpoint,
    datafolders,
    files,
    idx,
    index,
    overview,
    params,
    plan,
    predict,
    preprocess,
    report,
    rundir,
    source,
    verify,
)
from mnistlib.agreement import judge
from mnistlib.calibrate import load_calibration
from mnistlib.checkpoint import DamagedError
from mnistlib.data import load_raw
from mnistlib.describe import describe_run, describe_stage, headline_facts
from mnistlib.explore import explore_data
from mnistlib.files import RunError
from mnistlib.handwriting import describe_drawing, keep_drawing, kept_drawings
from mnistlib.history import load_history
from mnistlib.known import class_rows, gather
from mnistlib.model import load_model
from mnistlib.modelfile import read_weights
from mnistlib.numpynet import read_state
from mnistlib.pictures import read_lots
from mnistlib.receipt import load_receipt, make_receipt
from mnistlib.record import read_record
from mnistlib.rundir import Run
from mnistlib.stages import STAGE
from tests.conftest import Project

CASES = int(os.environ.get("FUZZ_CASES", "600"))
SECONDS = 5
ODD = (
    *(None, True, "", "\ud800", "../../../etc/passwd", [], {}, [[]], {"": {}}, [None], -1, 0, 2**31, 2**63, 2**64),
    *(10**400, 1.5, 1e308, -0.0, float("nan"), float("inf"), "x" * 100_000, "$(id)", "nan", "\0"),
)
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class TooSlowError(BaseException):
    """A reader ran past its time: no `except Exception` may swallow it."""


class Watch:
    """Notes what is done while it is armed: processes started, files written or changed outside of `allowed`."""

    def __init__(self) -> None:
        self.allowed, self.armed, self.seen = Path(), False, list[str]()
        sys.addaudithook(self.note)

    def note(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        writes = event == "open" and isinstance(given[0], str | bytes) and given[2] & (os.O_WRONLY | os.O_RDWR)
        if event in STARTS or ((writes or event in CHANGES) and not self.is_inside(given[0])):
            self.seen.append(f"{event} {given[0]!s:.200}")

    def is_inside(self, path: Any) -> bool:
        return Path(os.fsdecode(path)).absolute().is_relative_to(self.allowed)

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Watch a block, which may write in the folder alone and has its seconds."""
        self.allowed, self.armed = folder, True
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS)
        faulthandler.dump_traceback_later(60, exit=True)  # for what no signal ends
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.armed = False


@cache
def watch() -> Watch:
    """The one watch: an audit hook stays as long as the process."""
    return Watch()


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
    verify.tell(run, kept, judge(kept, made)[0] + judge(made, kept)[0] + verify.written_to(run, kept), [])
    verify.parameters_again(kept)
    verify.environment(kept)


def described(run: Run) -> None:
    """A run in words, as pages tell it."""
    describe_run(run), [describe_stage(run, stage) for stage in STAGE], headline_facts(run), overview.summarise(run)


def unpacked(run: Run) -> None:
    path = run.folder / "odd.idx"
    if path.is_file():  # as `data.read_file` asks first
        idx.parse(idx.unpack(path), path.name)


def cells_of(run: Run) -> None:
    path = run.notebook("06_infer")
    source.parameter_values(path), source.cell_digests(path), source.code_digests(path)


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
WEIGHTS = "models/pytorch_mnist_model.pth"
MODEL = ("models/model.json", "models/calibration.json")
ARRAYS = ("reports/embeddings/embeddings.npz", "reports/embeddings/tsne.npz", "reports/test_predictions.npz")
NAMES = {ARRAYS[0]: ["embeddings"], ARRAYS[1]: ["points", "indices"], ARRAYS[2]: ["logits", "labels"]}
READERS = {
    "read_record": Reader(lambda run: [read_record(run, stage) for stage in STAGE], STATUS),
    "plan": Reader(lambda run: plan.plan(run, params.load("smoke"), "all"), (*STATUS, "data/raw.json", *MODEL), 0.3),
    "standing": Reader(plan.standing, (*STATUS, "params/params.yaml")),
    "describe": Reader(described, (*METRICS, *STATUS, "data/raw.json", "models/history.json"), 0.5),
    "receipt": Reader(judged, ("receipt.json",) * 4),
    "model.json": Reader(load_model, ("models/model.json",)),
    "load_predictor": Reader(lambda run: answer(predict.load_predictor(run.folder)), (*MODEL, WEIGHTS), 0.5),
    "quick_predictor": Reader(lambda run: answer(predict.quick_predictor(run.folder)), MODEL),
    "weights": Reader(weights, (WEIGHTS,), 0.5),
    "calibration": Reader(load_calibration, MODEL[1:]),
    "card": Reader(gather, (*MODEL, "data/raw.json")),
    "raw.json": Reader(
        lambda run: (
            datafolders.had(run),
            datafolders.is_where_it_was(files.read_json(run.raw_json, "")),
            load_raw(run),
        ),
        ("data/raw.json",),
        0.1,
    ),
    "statistics": Reader(
        lambda run: (preprocess.data_line(run), preprocess.load_part(run, "val")), ("data/processed/statistics.json",)
    ),
    "arrays": Reader(arrays, ("data/processed/val_images.npy", "data/processed/val_labels.npy")),
    "npz": Reader(lambda run: [files.read_arrays(run.folder / p, NAMES[p], "") for p in ARRAYS], ARRAYS),
    "explore": Reader(lambda run: (explore_data(run), class_rows(run, list("0123456789"))), ARRAYS, 0.2),
    "history": Reader(load_history, ("models/history.json",)),
    "overview": Reader(
        lambda run: (overview.read_line(run.summary), overview.read_taught(run.folder / "taught.json")),
        ("status/summary.json", "taught.json"),
    ),
    "drawings": Reader(kept_drawings, ("data/inference/drawings/*/drawing.json",)),
    "pad.json": Reader(index.read_pad, ("reports/pad.json", *MODEL)),
    "params": Reader(lambda run: params.check(params.load_file(run.params()), "here"), ("params/params.yaml",), 0.5),
    "SET": Reader(lambda run: params.load("smoke", text_of(run.folder / "set.txt")), ("set.txt",)),
    "idx": Reader(unpacked, ("odd.idx",)),
    "pictures": Reader(lambda run: list(read_lots([run.figure("samples")], 1)), ("reports/figures/samples.png",)),
    "cells": Reader(cells_of, ("notebooks/06_infer.ipynb",)),
    "executed": Reader(lambda run: report.read_notebook(run.notebook("03_train")), ("notebooks/03_train.ipynb",)),
    "modules": Reader(lambda run: source.kept_digests(), ("modules.json",)),
    "checkpoint": Reader(lambda run: checkpoint.read_checkpoint(run.folder / "e.pt"), ("e.pt",), 1.0, (DamagedError,)),
    "answers": Reader(answers.closing_words, ("data/inference/predictions.csv",)),
}


WAITING: dict[str, str] = {}


def spot(content: Any, chance: random.Random) -> tuple[Any, Any]:
    """A place in a JSON value at any depth: what holds it, and its key there."""
    while True:
        key = chance.choice([*content]) if isinstance(content, dict) else chance.randrange(len(content))
        if not content[key] or not isinstance(content[key], dict | list) or chance.random() < 0.25:
            return content, key
        content = content[key]


def odd_json(content: bytes, chance: random.Random) -> bytes:
    """A real file with one value replaced, one key lost, doubled or added, or one value nested deeply."""
    value = json.loads(content)
    holder, key = spot(value, chance)
    was, deep = holder[key], chance.choice((100, 990, 5000, 200_000))
    holder[key] = "@here@"
    odd = json.dumps(chance.choice(ODD))
    here = chance.choice((odd, odd, odd, odd, f'{json.dumps(was)}, "added": {odd}', "[" * deep + "]" * deep))
    text = json.dumps(value)
    if isinstance(holder, dict) and chance.random() < 0.2:
        said = f'{json.dumps(key)}: "@here@"'
        text = text.replace(said, chance.choice((f"{said}, {json.dumps(key)}: {odd}", '"lost": 0')))
    return text.replace('"@here@"', here).encode()


def odd_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bits flipped, pieces cut out, doubled, exchanged or replaced."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in "be")
    end = min(end, start + chance.choice((1, 4, 50, len(content))))
    before, piece, after = content[:start], content[start:end], content[end:]
    flipped = bytearray(content)
    flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    ways = (
        bytes(flipped),
        before + after,
        before,
        before + piece * 2 + after,
        after + piece + before,
        before + chance.choice((b"\xff" * 4, b"\0" * 8, b"9" * 400, b"\xed\xa0\x80", b"[" * 2000, b"\n- &a")) + after,
        chance.choice((b"\xef\xbb\xbf" + content, content.decode("latin-1").encode("utf-16"), b"")),
    )
    return chance.choice(ways)


def odd_text(content: bytes, chance: random.Random) -> bytes:
    """Parameters, one of which has an odd value."""
    parts = content.split(b" ")
    odd = json.dumps(chance.choice(ODD)), "[" * 3000, "&a [*a]", "!!python/object:os.system", "9" * 5000, "!!set {1}"
    parts[chance.randrange(len(parts))] = chance.choice(odd).encode()
    return b" ".join(parts)


def odd_arrays(content: bytes, chance: random.Random) -> bytes:
    """An `.npz` with an array of another kind in it."""
    with np.load(io.BytesIO(content)) as kept:
        found = dict(kept)
    name = chance.choice(sorted(found))
    ways = (
        np.array(None), found[name] * np.nan, found[name].astype(str), found[name].astype(complex), found[name][:0],
        found[name][..., None], np.float32(1), found[name].ravel(), found[name].astype(np.uint64) - 2**63,
        np.full(found[name].shape, np.inf),
    )  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **(found | {name: chance.choice(ways)}))
    return buffer.getvalue()


def odd_place(path: Path, chance: random.Random) -> str:
    """Something else in the file's place: nothing, a pipe, a folder, a link to itself, much of the same."""
    ways = {
        "missing": lambda: None,
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "empty": path.touch,
        "5 MB": lambda: path.write_bytes(
            chance.choice((b"[", b"9", b"a", b" ", b"\0", b'"', b"- ", b"a: 1\n")) * 5_000_000
        ),
    }
    way = chance.choice([*ways])
    path.unlink()
    ways[way]()
    return way


ODDLY = {".json": odd_json, ".ipynb": odd_json, ".npz": odd_arrays, ".yaml": odd_text, ".txt": odd_text}


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file; returns how."""
    if chance.random() < 0.1:
        return odd_place(path, chance)
    way = ODDLY.get(path.suffix, odd_bytes) if chance.random() < 0.7 else odd_bytes
    path.write_bytes(way(path.read_bytes(), chance))
    return way.__name__


def put_back(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(content)


def fault_of(reader: Reader, run: Run) -> str:
    """What reading does that it may not; empty where it gives something or refuses in words."""
    for cached in (plan.stand, source.kept_digests):
        cached.cache_clear()
    watch().seen.clear()
    try:
        with watch().over(run.folder):
            reader.read(run)
    except (RunError, *reader.raises):
        pass
    except TooSlowError:
        return f"ran past {SECONDS} s{traceback.format_exc(limit=-3)}"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.100} at {traceback.extract_tb(error.__traceback__)[-1]}"
    return ", ".join(watch().seen)


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of all that lies in a folder and not in the run's."""
    stats = {path: path.lstat() for path in folder.rglob("*") if "smoke" not in path.parts}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


@pytest.fixture(scope="module")
def run(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A finished run with all that can lie in one."""
    project = smoke.copy(tmp_path_factory.mktemp("fuzz") / "my project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rundir, "RUNS", project.run().parent)
        patch.setattr(sys, "dont_write_bytecode", True)
        was = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
        run = Run("smoke")
        strokes = [[(10.0, 10.0), (10.0, 60.0)]]
        predictor = predict.quick_predictor("smoke")
        keep_drawing(run, describe_drawing(strokes, predictor.strokes(strokes), predictor.model))
        scores = dict.fromkeys(overview.TAUGHT, 1.0) | {"taught_from": "smoke"}
        (run.folder / "taught.json").write_text(json.dumps(scores))
        (run.folder / "odd.idx").write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0\0\0\x0a" * 3 + bytes(1000)))
        (run.folder / "set.txt").write_text('train.epochs=3 data.samples=10 infer.input="a b" train.widths=[8, 8, 8]')
        (run.folder / "modules.json").write_text(json.dumps({"a" * 64: ["b" * 64, ["mnistlib.files"]]}))
        patch.setattr(verify, "code_version", lambda: "")  # asks git, of this project and of nothing received
        patch.setattr(source, "module_cache", lambda: run.folder / "modules.json")
        checkpoint.write_checkpoint(run.folder / "e.pt", {"a": "b"}, {"epoch": 1})
        yield run
        for number, handler in was.items():
            signal.signal(number, handler)


def stop(*_: Any) -> None:
    raise TooSlowError


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=WAITING.get(n))) if n in WAITING else n
        for n in READERS
    ],
)
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
