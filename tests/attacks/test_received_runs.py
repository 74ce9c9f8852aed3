"""Runs from other people, each with an attack in it: what is read, what is refused, and what must stay untouched.

The tables name the attack, where it lies, and what must happen.
"""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistlib.cli import cli
from mnistlib.core.config import load
from mnistlib.core.errors import RunError
from mnistlib.core.files import (
    HOUR,
    LARGEST_ARRAYS,
    LARGEST_JSON,
    ROOT,
    bytes_digest,
    read_arrays,
    read_json,
    remove_stale,
    write_json,
)
from mnistlib.data.preprocess import load_statistics, statistics_path
from mnistlib.evaluation.calibration import Calibration, load_calibration, rejection_reason, save_calibration
from mnistlib.inference.drawings import read_drawing
from mnistlib.inference.predictor import load_predictor, quick_predictor, usable_run
from mnistlib.pipeline.fine_tune_run import new_run
from mnistlib.pipeline.plan import outside_now
from mnistlib.pipeline.verify import environment, written_to
from mnistlib.reporting.runs_table import FINE_TUNED_METRICS, write_runs_table, write_runs_table_page
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, check_own_files, leftovers, runs_table_page
from mnistlib.runs.lock import lock_run
from mnistlib.runs.model_store import with_digest
from mnistlib.runs.raw_data import read_raw
from mnistlib.runs.receipt import load_receipt
from mnistlib.runs.record import Inputs, Record, read_record, write_record
from mnistlib.runs.stages import STAGE
from mnistlib.training.model import Architecture, build, load_model, save_model
from tests.records import keep_record

KEPT = '{"a": 1}'  # a file outside that must stay as it is, and could be read
DIGIT = np.eye(28, dtype=np.uint8)[None] * 255


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with a small model and its calibration, in a runs/ folder of its own."""
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    received = Run("received")
    save_model(received, build(Architecture((4, 8, 16), 32), 0), {"dataset": "mnist"})
    save_calibration(received, Calibration(1.0, 0.5, 0.5, 1.0, 0.0))
    return received


@pytest.fixture
def outside(tmp_path):
    """A file that belongs to the person, and no run."""
    path = tmp_path / "precious.txt"
    path.write_text(KEPT)
    return path


def rewrite(path: Path, **changes):
    """Write a JSON file with other values under some names."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# What a JSON file of a run can be instead of a small, sound one; each is refused in words, and soon.
NO_JSON = {
    "a FIFO": (lambda path, outside: os.mkfifo(path), "not a regular file"),
    "a folder": (lambda path, outside: path.mkdir(), "Is a directory"),
    "a link": (lambda path, outside: path.symlink_to(outside), "it is a link"),
    "a link to a device": (lambda path, outside: path.symlink_to("/dev/zero"), "it is a link"),
    "too large": (lambda path, outside: path.write_bytes(b'{"a": 1}'.ljust(LARGEST_JSON + 1)), "it is larger than"),
    "nested deeply": (lambda path, outside: path.write_text('{"a":' * 9999 + "1" + "}" * 9999), "nested too deeply"),
    "NaN": (lambda path, outside: path.write_text('{"a": NaN}'), "NaN is not a number"),
    "Infinity": (lambda path, outside: path.write_text('{"a": -Infinity}'), "-Infinity is not a number"),
    "1e999": (lambda path, outside: path.write_text('{"a": 1e999}'), "1e999 is not a number"),
    "400 digits": (lambda path, outside: path.write_text('{"a": %s}' % ("9" * 400)), "99 is not a number"),
    "no UTF-8": (lambda path, outside: path.write_bytes(b'{"a": "\xff"}'), "can't decode byte"),
}


@pytest.mark.parametrize("attack", NO_JSON)
def test_a_file_that_is_no_small_sound_json_is_refused(run, outside, attack):
    path = run.raw_json
    path.parent.mkdir()
    put, words = NO_JSON[attack]
    put(path, outside)
    with pytest.raises(RunError, match=rf"raw\.json cannot be read \(.*{words}.*: do this"):
        read_json(path, hint="do this")


@pytest.mark.parametrize("attack", NO_JSON)
def test_it_costs_its_own_row_of_the_table_of_runs(run, outside, attack):
    write_runs_table(run)
    for name, place in (("bad", "status/summary.json"), ("bad-taught", "reports/teach.json")):
        (Run(name).folder / place).parent.mkdir(parents=True)
        NO_JSON[attack][0](Run(name).folder / place, outside)
    write_runs_table_page()
    page = runs_table_page().read_text()
    assert 'href="received/reports/index.html"' in page
    assert "<td>bad</td>" in page
    assert "<td>bad-taught</td>" in page
    assert page.count("cannot be read (") == 2


SUMMARIES = [{"metrics": {"test_accuracy": "1"}}, {"curve": ["x"]}, {"ok": 1}, {"more": 1}, {"differing": [[]]}]


@pytest.mark.parametrize("changes", SUMMARIES)
def test_a_summary_with_another_value_costs_its_own_row_too(run, changes):
    write_runs_table(run)
    shutil.copytree(run.folder, Run("bad").folder)
    rewrite(Run("bad").summary, **changes)
    write_runs_table_page()
    page = runs_table_page().read_text()
    assert 'href="received/reports/index.html"' in page
    assert f"at {next(iter(changes))}" in page


# Where a link can lie in a run, and what it may point to.
LINKS = [".lock", "run.log", "models", "checkpoints", "data/inference/examples", "status/summary.json", "params"]


def link(run: Run, name: str, outside: Path) -> Path:
    """Put a link to a file outside, or to its folder, in the place of something in the run."""
    path = run.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.symlink_to(outside if "." in path.name else outside.parent)
    return path


@pytest.mark.parametrize("name", LINKS)
def test_a_run_that_holds_a_link_is_refused_by_name(run, outside, name):
    link(run, name, outside)
    with pytest.raises(RunError, match=f"'{name}' in it is a link to "):
        check_own_files(run)


def test_a_fifo_deep_in_a_run_is_refused_and_hard_links_are_not(run, outside):
    os.link(outside, run.folder / "hard")
    check_own_files(run)
    (run.folder / "a" / "b").mkdir(parents=True)
    os.mkfifo(run.folder / "a" / "b" / "fifo")
    with pytest.raises(RunError, match="'a/b/fifo' in it is a FIFO"):
        check_own_files(run)


@pytest.mark.parametrize("kind", [Path.symlink_to, Path.hardlink_to])
def test_the_lock_empties_no_other_file(run, outside, kind):
    kind(run.folder / ".lock", outside)
    with pytest.raises(RunError, match=r"\.lock"):
        lock_run(run)
    assert outside.read_text() == KEPT


def test_clean_touches_nothing_that_a_link_in_the_run_points_to(run, outside, monkeypatch, capsys):
    link(run, ".lock", outside)
    monkeypatch.setenv("RUN", run.name)
    assert cli.main(["clean"], standalone_mode=False) == 2
    assert "'.lock' in it is a link to" in capsys.readouterr().err
    assert outside.read_text() == KEPT


@pytest.mark.parametrize("load", [load_predictor, quick_predictor])
def test_a_run_with_a_link_answers_nothing(run, outside, load):
    link(run, "run.log", outside)
    with pytest.raises(RunError, match=r"'run\.log' in it is a link"):
        load(run.name)


COMMANDS = [
    *({"GOAL": "status"}, {"GOAL": "all"}, {"GOAL": "train", "MAKEFLAGS": "n"}),
    {"GOAL": "infer", "INPUT": str(ROOT / "docs" / "index.png")},
    *("teach", "verify", "export", "clean", "compare"),
]


@pytest.mark.parametrize("asked", COMMANDS, ids=str)
def test_every_command_refuses_a_run_with_a_link_and_writes_nothing_through_it(made, tmp_path, command, asked):
    outside, received = tmp_path / "outside", made.run("received")
    outside.mkdir()
    shutil.copytree(made.run(), received)
    (received / "checkpoints").symlink_to(outside)
    runs = {"RUN": "received", "A": "received", "B": "smoke"}
    done = command(made, "resolve", **asked, **runs) if isinstance(asked, dict) else command(made, asked, **runs)
    assert "'checkpoints' in it is a link to" in done.text
    assert (done.code, list(outside.iterdir()), received.is_dir()) == (2, [], True)


NO_DESCRIPTION = [
    *({"std": value} for value in (0, 0.0, -1, 1e-9, 1e6, True, "0.3", None)),
    *({"mean": value} for value in (-1, 7.5, [0.1])),
    *({"hidden": 10**9}, {"classes": 1}, {"widths": [8, 16]}, {"kernels": [5, 3, 10**6]}, {"pooling": ["no"] * 3}),
    *({"dropout": 1}, {"depth": 3}),
]


@pytest.mark.parametrize("load", [load_predictor, quick_predictor])
@pytest.mark.parametrize("changes", NO_DESCRIPTION, ids=str)
def test_an_architecture_that_is_out_of_bounds_is_refused_whatever_its_digest(run, load, changes):
    described = json.loads(run.model_json.read_text())
    write_json(run.model_json, with_digest(described | {"architecture": described["architecture"] | changes}))
    with pytest.raises(RunError, match=r"model\.json is damaged at architecture"):
        load(run.name)


def test_a_nan_as_standard_deviation_is_refused(run):
    run.model_json.write_text(run.model_json.read_text().replace("0.3081", "NaN"))
    with pytest.raises(RunError, match="NaN is not a number"):
        quick_predictor(run.name)


def test_another_mean_is_not_taken_for_the_one_that_the_model_was_trained_with(run):
    described = json.loads(run.model_json.read_text())
    described["architecture"]["mean"] = 0.5
    write_json(run.model_json, described)
    with pytest.raises(RunError, match="damaged at digest"):
        quick_predictor(run.name)
    write_json(run.model_json, with_digest(described))
    with pytest.raises(RunError, match="was made for other weights"):
        quick_predictor(run.name)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("load", [load_predictor, quick_predictor])
def test_weights_that_are_no_numbers_give_no_answer(run, load, value):
    weights = torch.load(run.weights)
    weights["head.1.bias"][3] = value
    torch.save(weights, run.weights)
    described = json.loads(run.model_json.read_text())
    write_json(run.model_json, with_digest(described | {"weights_sha256": bytes_digest(run.weights.read_bytes())}))
    save_calibration(run, Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    with pytest.raises(RunError, match="not finite numbers"):
        load(run.name)


def test_weights_that_overflow_on_a_picture_give_an_error_and_no_answer(run):
    network = build(Architecture((4, 8, 16), 32), 0)
    with torch.no_grad():
        network.convolutions[0].weight.fill_(3e38)
        network.convolutions[1].running_mean.fill_(0)
    save_model(run, network, {"dataset": "mnist"})
    save_calibration(run, Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    with pytest.raises(RunError, match="not finite numbers"), np.errstate(all="ignore"):
        load_predictor(run.name).images(np.full((1, 28, 28), 255, np.uint8))


def test_a_nan_is_never_accepted():
    logits = np.full((2, 10), np.nan)
    logits[1] = np.eye(10)[0] * 9
    reasons = rejection_reason(logits, Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    assert reasons.tolist() == ["not like a digit", ""]


NO_CALIBRATION = [{"temperature": 1e-9}, {"temperature": 1e9}, {"threshold": -1}, {"ood_threshold": -5}, {"more": 1}]


@pytest.mark.parametrize("changes", [*NO_CALIBRATION, {"threshold": True}, {"coverage": 7}], ids=str)
def test_a_calibration_that_is_out_of_bounds_is_refused(run, changes):
    rewrite(run.calibration_json, **changes)
    with pytest.raises(RunError, match=r"calibration\.json is damaged .*: make evaluate RUN=received"):
        load_calibration(run)


@pytest.mark.parametrize("version", [3, 5, "4", True, None])
def test_a_model_of_another_version_is_refused_with_what_to_do(run, version):
    rewrite(run.model_json, format=version)
    with pytest.raises(RunError, match=r"expected 4: re-run 03_train \(make train RUN=received\)"):
        load_model(run)
    write_json(run.teach_json, {})
    with pytest.raises(RunError, match="expected 4: fine-tune it again with make teach"):
        load_model(run)


def test_a_named_run_without_a_model_does_not_answer_with_another_runs(run):
    with pytest.raises(RunError, match="runs/mine holds no complete model"):
        usable_run("mine")
    assert usable_run("lab") == run.name


def test_a_neighbours_bad_description_does_not_stop_the_notebooks(run):
    shutil.copytree(run.folder, Run("other").folder)
    Run("other").model_json.write_text('{"training": NaN}')
    assert usable_run("lab") == run.name


def test_a_fine_tuning_that_is_killed_leaves_no_run(run):
    with pytest.raises(KeyboardInterrupt), new_run(run) as made:
        made.models.mkdir()
        assert not Run("received-taught").folder.exists()
        shutil.copytree(made.folder.parent, layout.RUNS / ".killed-taught.part")
        raise KeyboardInterrupt
    left = layout.RUNS / ".killed-taught.part"
    assert sorted(path.name for path in layout.RUNS.iterdir()) == [left.name, run.name]
    os.utime(left, (time.time() - 2 * HOUR,) * 2)
    remove_stale(leftovers(run))
    assert [path.name for path in layout.RUNS.iterdir()] == [run.name]


RECORDS = [
    *({"verdict": "<b>ok</b>"}, {"stage": "04_evaluate"}, {"format": 3}, {"seconds": {"work": "1"}}),
    *({"outputs": {name: "o"}} for name in ("../up", "/etc/passwd", "models/../../up", "elsewhere/a", "models/.a")),
    *({"machine": {"cores": float("nan")}}, {"process": [-1, 0.0]}, {"process": [10**15, 0.0]}),
]


@pytest.mark.parametrize("changes", RECORDS, ids=str)
def test_a_record_with_another_value_is_none(run, changes):
    keep_record(run, "03_train", verdict="running" if "process" in changes else "ok")
    if "outputs" in changes:
        output = {"sha256": "0" * 64, "bytes": 1, "content": "0" * 64}
        changes = {"outputs": dict.fromkeys(changes["outputs"], output)}
    rewrite(run.status("03_train"), **changes)
    assert read_record(run, "03_train").verdict == "not run"


RAW = [{"dataset": "x"}, {"source": 1}, {"folder": []}, {"files": [{"file": "../../up"}]}, {"title": 5}, {"more": 1}]


@pytest.mark.parametrize("changes", RAW, ids=str)
def test_a_description_of_the_data_with_another_value_is_refused(run, changes):
    run.raw_json.parent.mkdir()
    run.raw_json.write_text("{}")
    rewrite(run.raw_json, **changes)
    with pytest.raises(RunError, match=f"damaged at {next(iter(changes))}"):
        read_raw(run, hint="")


STATISTICS = [{"mean": 9}, {"std": -1}, {"train_count": -1}, {"sha256": {"a": "b"}}, {"classes": [1]}, {"title": None}]


@pytest.mark.parametrize("changes", STATISTICS, ids=str)
def test_statistics_with_another_value_are_refused(run, smoke, changes):
    statistics_path(run).parent.mkdir(parents=True)
    shutil.copy(smoke.run() / "data" / "processed" / "statistics.json", statistics_path(run))
    assert load_statistics(run)
    rewrite(statistics_path(run), **changes)
    with pytest.raises(RunError, match=f"damaged at {next(iter(changes))}"):
        load_statistics(run)


@pytest.mark.parametrize("metrics", [{"x": "text"}, {"x": [1]}, {"x": None}, {"train_device": 5}], ids=str)
def test_a_metric_that_is_no_number_is_named(run, metrics):
    write_json(run.metrics("01_data"), metrics)
    with pytest.raises(RunError, match=f"is damaged: {next(iter(metrics))} is"):
        run.read_metrics("01_data")


DRAWINGS = [{"model": 7}, {"accepted": "yes"}, {"probabilities": [1, "x"]}, {"strokes": "abc"}, {"more": 1}]


@pytest.mark.parametrize("changes", DRAWINGS, ids=str)
def test_a_drawing_with_another_value_is_named(tmp_path, changes):
    path = tmp_path / "drawing.json"
    sound = {"strokes": [[[0, 0], [9, 9]]], "digit": 1, "probabilities": [], "accepted": True, "model": ""}
    path.write_text(json.dumps(sound))
    assert read_drawing(path)
    rewrite(path, **changes)
    with pytest.raises(RunError, match=r"drawing\.json is not a drawing"):
        read_drawing(path)


@pytest.fixture
def receipt(smoke, tmp_path):
    """The smoke run's receipt, to be changed, and how to read it."""
    folder = tmp_path / "received"
    folder.mkdir()
    shutil.copy(smoke.run() / "receipt.json", folder)

    def read(**changes):
        rewrite(folder / "receipt.json", **changes)
        return load_receipt(Run("received", tmp_path))

    return read


SETTINGS = {
    "MAKEFLAGS": "--eval=$(shell touch owned)",
    "MAKEFILES": "/tmp/evil.mk",
    "PYTHONPATH": "/tmp/evil",
    "LD_PRELOAD": "/tmp/evil.so",
    "PATH": "/tmp/evil",
    "OMP_NUM_THREADS": "2; touch owned",
    "MKL_CBWR": "$(shell touch owned)",
    "OPENBLAS_NUM_THREADS": "4\n",
    "MKL_NUM_THREADS": "99999999",
}


def test_of_a_receipts_settings_only_known_names_and_plain_values_are_taken(receipt, smoke, monkeypatch, capsys):
    for name in [*SETTINGS, "ATEN_CPU_CAPABILITY"]:
        if name != "PATH":
            monkeypatch.delenv(name, raising=False)
    machine = json.loads((smoke.run() / "receipt.json").read_text())["machines"][0]
    kept = receipt(machines=[machine | {"settings": SETTINGS | {"ATEN_CPU_CAPABILITY": "avx2"}}])
    passed = environment(kept)
    assert passed["ATEN_CPU_CAPABILITY"] == "avx2"
    assert not SETTINGS.keys() - {"PATH"} & passed.keys()
    assert passed["PATH"] == os.environ["PATH"]
    said = capsys.readouterr().out
    assert "settings from the receipt: ATEN_CPU_CAPABILITY=avx2\n" in said
    assert "settings in the receipt that are not used: 'MAKEFLAGS', 'MAKEFILES', 'PYTHONPATH', 'LD_PRELOAD'" in said


ARTIFACT = {"stage": "01_data", "bytes": 1, "sha256": "0" * 64, "content": "0" * 64}
RECEIPTS = [
    *({"artifacts": {name: ARTIFACT}} for name in ("/etc/passwd", "../x.json", "models/../../x", "a b", "models/\x1b")),
    *({"pages": {name: "0" * 64}} for name in ("/etc/passwd", "../x.html", "reports/..")),
    *({"machines": [{"settings": {"A": 1}}]}, {"machines": [1]}, {"run": "../up"}, {"stages": {"evil": {}}}),
    *({"metrics": {"01_data": {"x": []}}}, {"artifacts": {"models/a": ARTIFACT | {"bytes": -1}}}, {"more": 1}),
]


@pytest.mark.parametrize("changes", RECEIPTS, ids=str)
def test_a_receipt_with_another_value_is_refused(receipt, changes):
    with pytest.raises(RunError, match=r"is damaged at|RUN is"):
        receipt(**changes)


PAGES = [
    *("notebooks/01_data.ipynb", "notebooks/06_infer.ipynb", "reports/04_evaluate.html", "reports/index.html"),
    *("reports/metrics.json", "models/README.md"),
]


@pytest.mark.parametrize("name", PAGES)
def test_a_flipped_bit_in_what_people_read_is_noticed(smoke, tmp_path, name):
    shutil.copytree(smoke.run(), tmp_path / "received")
    received = Run("received", tmp_path)
    kept = load_receipt(received)
    assert written_to(received, kept) == []
    content = bytearray((received.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (received.folder / name).write_bytes(content)
    assert [line.name for line in written_to(received, kept)] == [name]


ARRAYS = {
    "a FIFO": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a zip of zeros": lambda path: np.savez_compressed(path, logits=np.zeros(LARGEST_ARRAYS + 1, np.uint8)),
}


@pytest.mark.parametrize("attack", ARRAYS)
def test_arrays_that_never_end_or_burst_are_refused(tmp_path, attack):
    path = tmp_path / "predictions.npz"
    ARRAYS[attack](path)
    with pytest.raises(RunError, match="missing or damaged: do this"):
        read_arrays(path, ["logits"], hint="do this")


def test_a_record_makes_nobody_read_what_is_no_file_of_a_dataset(run, outside, tmp_path):
    named = tmp_path / "train-labels-idx1-ubyte"
    named.write_bytes(b"")
    recorded = dict.fromkeys([str(outside), str(named)], "0" * 64)
    write_record(run, Record("01_data", "ok", inputs=Inputs({}, [], {}, {}, recorded)))
    now = outside_now(run, STAGE["01_data"], load())
    assert now == {str(outside): "0" * 64, str(named): bytes_digest(b"")}


def test_verify_refuses_a_run_with_a_link_before_it_reads_it(run, outside, monkeypatch, capsys):
    link(run, "receipt.json", outside)
    monkeypatch.setenv("RUN", run.name)
    assert cli.main(["verify"], standalone_mode=False) == 2
    assert "'receipt.json' in it is a link to" in capsys.readouterr().err


def test_an_unusable_lesson_costs_its_own_row(run):
    write_json(run.teach_json, dict.fromkeys(FINE_TUNED_METRICS, 0) | {"fine_tuned_from": "a", "teach_seconds": 1.0})
    shutil.copytree(run.folder, Run("bad").folder)
    rewrite(Run("bad").teach_json, drawings_learned="many")
    write_runs_table_page()
    page = runs_table_page().read_text()
    assert 'href="received/reports/teach.html"' in page
    assert "at drawings_learned" in page


def test_without_attack_the_run_answers(run):
    for predictor in (load_predictor(run.name), quick_predictor(run.name)):
        assert len(predictor.images(DIGIT)) == 1
