"""Any tree, and a real file's tree changed in a few places, read as JSON, YAML or arrays: an object or words.

Hypothesis makes the files and cuts what fails down to the least of them. FUZZ_CASES is how many are read, 600 here and
10,000 in `make soak`. A reader gives what its docstring promises or raises RunError, within 5 seconds of computing.
"""

import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mnistlib.core import config, files
from mnistlib.core.config_schema import Params
from mnistlib.core.errors import RunError
from mnistlib.core.json_checks import wrong_fields
from mnistlib.data import locations
from mnistlib.data.preprocess import load_statistics
from mnistlib.evaluation.calibration import FIELDS, load_calibration
from mnistlib.evaluation.metrics import load_predictions
from mnistlib.inference import predictor as predict
from mnistlib.inference.drawings import describe_drawing, read_drawing, save_drawing
from mnistlib.reporting import front_page, runs_table
from mnistlib.reporting.explorer import explore_data
from mnistlib.reporting.run_summary import describe_run, describe_stage, headline_facts
from mnistlib.runs import layout, state
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_description, with_digest
from mnistlib.runs.receipt import Receipt, load_receipt
from mnistlib.runs.record import VERDICTS, Record, read_record
from mnistlib.runs.stages import STAGE
from mnistlib.training.history import Epoch, load_history
from tests.conftest import Project
from tests.damage import SECONDS, TooSlowError, watch
from tests.trees import json_files, npz_files, sealed_files, set_texts, yaml_files

CASES = int(os.environ.get("FUZZ_CASES", "600"))
RANDOM = "FUZZ_CASES" in os.environ


@dataclass(frozen=True)
class Reader:
    """A file of a run, what reads it, whether what that gives is whole, and what the file is replaced by.

    `share`: of the cases, less for a slow reader.
    """

    path: str
    read: Callable[[Run], Any]
    is_whole: Callable[[Any], bool]
    made: Callable[[bytes], some.SearchStrategy[bytes]] = json_files
    share: float = 1.0


def all_finite(rows: list[Epoch]) -> bool:
    return all(isinstance(row, Epoch) and all(map(math.isfinite, vars(row).values())) for row in rows)


def in_words(run: Run) -> list[Any]:
    """A run as its pages and the terminal tell it."""
    state.compute_records.cache_clear()
    return [describe_run(run), [describe_stage(run, stage) for stage in STAGE], headline_facts(run)]


def is_drawing(found: Any) -> bool:
    return found.image.shape == (28, 28) and found.image.any() and {found.digit, found.label or 0} <= {*range(10)}


def no_numbers(metrics: dict[str, Any]) -> list[str]:
    return [name for name, value in metrics.items() if not isinstance(value, int | float | str)]


def text_params(run: Run) -> Params:
    return config.load("smoke", (run.folder / "set.txt").read_bytes().decode(errors="surrogateescape"))


EMBEDDINGS, NAMES = "reports/embeddings/embeddings.npz", ["embeddings", "labels", "predictions", "indices"]
READERS = {
    "receipt": Reader(
        "receipt.json",
        load_receipt,
        lambda found: (
            isinstance(found, Receipt) and all(s in STAGE and found.metrics[s] is not None for s in found.stages)
        ),
    ),
    "record": Reader(
        "status/03_train.json",
        lambda run: read_record(run, "03_train"),
        lambda found: isinstance(found, Record) and found.stage == "03_train" and found.verdict in VERDICTS,
    ),
    "record in words": Reader("status/03_train.json", in_words, lambda found: len(found) == 3, share=0.5),
    "metrics": Reader("metrics/03_train.json", lambda run: run.read_metrics("03_train"), lambda m: not no_numbers(m)),
    "metrics in words": Reader("metrics/04_evaluate.json", in_words, lambda found: len(found) == 3, share=0.5),
    "model.json": Reader("models/model.json", read_description, lambda found: found == with_digest(found)),
    "sealed": Reader("models/model.json", read_description, lambda found: found == with_digest(found), sealed_files),
    "calibration": Reader(
        "models/calibration.json", load_calibration, lambda found: not wrong_fields(vars(found), FIELDS)
    ),
    "history": Reader("models/history.json", load_history, all_finite),
    "statistics": Reader(
        "data/processed/statistics.json",
        load_statistics,
        lambda found: 0 <= found["mean"] <= 1 and found["classes"] != 0,
    ),
    "raw": Reader(
        "data/raw.json",
        lambda run: (locations.previous_dataset(run), locations.raw_files_present(locations.read_raw(run, ""))),
        lambda found: all(isinstance(text, str) for text in found[0]) and isinstance(found[1], bool),
    ),
    "summary": Reader("status/summary.json", runs_table.read_row, lambda found: isinstance(found["curve"], str)),
    "page of all": Reader(
        "status/summary.json", lambda run: runs_table.write_runs_table_page(), lambda found: found is None, share=0.3
    ),
    "taught": Reader(
        "../smoke-taught/reports/teach.json",
        lambda run: runs_table.read_fine_tuned(Run("smoke-taught")),
        lambda found: found["name"] == "smoke-taught" and isinstance(found["unread"], str),
    ),
    "drawing": Reader("drawing.json", lambda run: read_drawing(run.folder / "drawing.json"), is_drawing),
    "pad": Reader("reports/pad.json", front_page.read_browser_pad, lambda found: not found or "layers" in found),
    "params": Reader(
        "params/params.yaml",
        lambda run: config.check(config.load_file(run.params()), "here"),
        lambda found: isinstance(found, Params),
        yaml_files,
    ),
    "SET": Reader("set.txt", text_params, lambda found: isinstance(found, Params), set_texts),
    "embeddings": Reader(
        EMBEDDINGS,
        lambda run: files.read_arrays(run.folder / EMBEDDINGS, NAMES, "here"),
        lambda found: all(isinstance(array, np.ndarray) and array.dtype != object for array in found),
        npz_files,
    ),
    "predictions": Reader(
        "reports/test_predictions.npz",
        load_predictions,
        lambda found: np.isfinite(found[1]).all() and set(found[0].tolist()) <= set(range(found[1].shape[1])),
        npz_files,
        3.0,
    ),
    "explore": Reader(
        "reports/embeddings/tsne.npz", explore_data, lambda found: not found or files.as_json(found), npz_files, 0.3
    ),
}


def stop(*_: Any) -> None:
    raise TooSlowError


@pytest.fixture(scope="module")
def run(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A finished run with all that can lie in one."""
    project = smoke.copy(tmp_path_factory.mktemp("trees") / "my project")
    was = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "RUNS", project.run().parent)
        run = Run("smoke")
        strokes = [[(10.0, 10.0), (10.0, 60.0)]]
        predictor = predict.quick_predictor("smoke")
        folder, _ = save_drawing(run, describe_drawing(strokes, predictor.strokes(strokes), predictor.model))
        (folder / "drawing.json").rename(run.folder / "drawing.json")
        scores = dict.fromkeys(runs_table.FINE_TUNED_METRICS, 1.0) | {"fine_tuned_from": "smoke"}
        files.write_json(Run("smoke-taught").teach_json, scores)
        (run.folder / "set.txt").write_text("train.epochs=3 data.samples=10")
        yield run
    for number, handler in was.items():
        signal.signal(number, handler)


def fault_of(reader: Reader, run: Run) -> str:
    """What reading does that it may not; empty where it gives something whole or refuses in words."""
    state.compute_records.cache_clear()
    watch().seen.clear()
    try:
        with watch().over(run.folder.parent):
            found = reader.read(run)
    except RunError as error:
        return "" if str(error).strip() else "it refuses without a word"
    except TooSlowError:
        return f"it ran past {SECONDS} s"
    return ", ".join(watch().seen) or ("" if reader.is_whole(found) else f"it gives {found!r:.300}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_any_tree_is_read_or_refused_in_words(run: Run, name: str) -> None:
    reader = READERS[name]
    path = run.folder / reader.path
    sound = path.read_bytes()
    cases = math.ceil(CASES * reader.share / sum(one.share for one in READERS.values()))

    @settings(
        max_examples=cases, deadline=None, database=None, derandomize=not RANDOM, print_blob=RANDOM,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(reader.made(sound))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert not fault_of(reader, run)

    try:
        check()
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("name", READERS)
def test_the_sound_file_itself_is_read(run: Run, name: str) -> None:
    assert READERS[name].is_whole(READERS[name].read(run))
