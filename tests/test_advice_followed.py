"""Who is told of a command types it, and the fault is gone: each command is taken from its message and followed."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mnistlib.cli import cli
from mnistlib.core import config
from mnistlib.core.files import as_json, file_digest
from mnistlib.inference import terminal_output
from mnistlib.inference.drawings import load_drawings
from mnistlib.inference.predictor import load_predictor, usable_run
from mnistlib.pipeline import plan, verify
from mnistlib.reporting import comparison, runs_table
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, existing_run
from mnistlib.runs.model_store import read_description, with_digest
from mnistlib.runs.receipt import load_receipt
from tests.conftest import Project
from tests.typed import commands, filled, refusal, well


@pytest.fixture(scope="module")
def copy(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished smoke project; each test leaves its run as whole as it was."""
    return smoke.copy(tmp_path_factory.mktemp("followed") / "my project")


@pytest.fixture
def here(copy: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same project, for commands that are called in this process too."""
    monkeypatch.setattr(layout, "RUNS", copy.folder / "runs")
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return copy


@pytest.mark.slow
def test_one_make_mends_what_it_is_said_to_mend(here):
    run = Run("smoke")
    drawing = run.drawings / "odd" / "drawing.json"
    drawing.parent.mkdir(parents=True)
    for path in (drawing, run.raw_json, run.summary):
        path.write_text('{"dataset": 5}')
    run.calibration_json.unlink()
    assert "move the file away to go on without it" in refusal(lambda: load_drawings(run))
    assert "delete it and run make again" in refusal(lambda: plan.data_reasons(run, config.load("default", "seed=1")))
    unread = runs_table.read_row(run)["unread"]
    assert "delete it, and make all" in unread
    (first,), (second,) = commands(unread), commands(refusal(lambda: usable_run("smoke")))
    assert first == second == ["all", "RUN=smoke"]
    shutil.rmtree(run.drawings)
    run.raw_json.unlink()
    run.summary.unlink()
    assert well(here.make(*first)).stages == ["01_data", "04_evaluate"]
    assert usable_run("smoke") == "smoke"
    assert runs_table.read_row(run)["unread"] == ""
    assert load_drawings(run) == []
    assert here.make("status", "RUN=smoke").text.count("up to date") == 6


@pytest.mark.slow
def test_runs_can_be_compared_once_one_is_evaluated_again(here, monkeypatch, capsys):
    shutil.copytree(here.run(), here.run("other"))
    record = here.run("other") / "status" / "04_evaluate.json"
    told = json.loads(record.read_text())
    told["inputs"]["reads"] = dict.fromkeys(told["inputs"]["reads"], "0" * 64)
    record.write_text(json.dumps(told))
    (command,) = commands(refusal(lambda: comparison.compare(Run("smoke"), Run("other"))))
    assert command == ["evaluate", "RUN=other"]
    assert well(here.make(*command)).stages == ["04_evaluate"]
    assert cli.main(["compare"], standalone_mode=False) == 2
    (command,) = commands(capsys.readouterr().err)
    for word in filled(command, A="smoke", B="other")[1:]:
        monkeypatch.setenv(*word.split("="))
    assert cli.main(["compare"], standalone_mode=False) == 0
    assert "equally many errors on the same test images" in capsys.readouterr().out
    shutil.rmtree(here.run("other"))


def test_what_verify_leaves_can_be_cleaned_away(here, monkeypatch, capsys):
    run, again = Run("smoke"), verify.temporary_run("smoke-verify")

    def execute(*given: Any) -> str:
        shutil.copytree(run.folder, again.folder, dirs_exist_ok=True)
        told = json.loads(again.receipt.read_text())
        told["metrics"]["02_preprocess"]["train_count"] = 5
        again.receipt.write_text(json.dumps(told))
        return ""

    monkeypatch.setattr(verify, "execute", execute)
    monkeypatch.setattr(verify.signal, "signal", lambda number, handler: None)
    assert verify.verify(run, load_receipt(run), again, {}) == 1
    (command,) = commands(capsys.readouterr().out)
    assert command == ["clean", f"RUN={again.name}"]
    assert again.folder.is_dir()
    (which,) = commands(here.make("clean").text)
    assert filled(which, RUN=again.name) == command
    assert "deleted" in well(here.make(*command, typed="y\n")).text
    assert not again.folder.exists()


def test_a_receipt_whose_dataset_is_gone_says_how_to_name_it(here, monkeypatch, tmp_path):
    kept = load_receipt(Run("smoke"))
    gone = {"source": "local", "dataset": "mnist", "folder": "/no/such folder"}
    kept = kept.model_copy(update={"data": kept.data.model_copy(update=gone)})
    (command,) = commands(refusal(lambda: verify.environment(kept)))
    assert command == ["verify", "RUN=smoke", "MNIST_DIR=folder"]
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    assert verify.environment(kept)["MNIST_DIR"] == str(tmp_path)
    command, _ = commands(refusal(lambda: load_receipt(Run("nowhere"))))
    assert command == ["verify", "RUN=name"]


def test_a_model_that_gives_no_numbers_is_trained_anew(here):
    run = Run("smoke")
    sound = {path: path.read_bytes() for path in (run.weights, run.model_json, run.calibration_json)}
    state = torch.load(run.weights, weights_only=True)
    torch.save({k: torch.full_like(v, 3e38) if v.ndim == 2 else v for k, v in state.items()}, run.weights)
    described = {k: v for k, v in read_description(run).items() if k != "digest"}
    run.model_json.write_text(as_json(with_digest(described | {"weights_sha256": file_digest(run.weights)})))
    calibration = json.loads(run.calibration_json.read_text())
    run.calibration_json.write_text(as_json(calibration | {"model": read_description(run)["digest"]}))
    said = refusal(lambda: load_predictor("smoke").images(np.full((1, 28, 28), 200, np.uint8)))
    assert "not finite numbers" in said
    (command,) = commands(said)
    assert "03_train" in here.plan(*command).certain
    for path, content in sound.items():
        path.write_bytes(content)


def test_a_name_that_no_run_has_can_be_made_or_another_taken(here, monkeypatch, tmp_path):
    picture = next((here.run() / "data" / "inference" / "examples").glob("*.png"))
    said = here.make("infer", "RUN=smkoe", f"INPUT={picture}").text
    recognise, make_first = commands(said)
    assert here.plan(*filled(recognise, INPUT=str(picture))).planned == ["06_infer"]
    assert len(here.plan(*make_first).planned) == 6
    said = refusal(lambda: terminal_output.trained_run("smkoe"))
    assert commands(said) == [make_first]
    option = re.search(r"--run \S+", said)[0].split()
    call = [sys.executable, "-m", "mnistlib", "predict", str(picture)]
    settings = {"cwd": here.folder, "env": here.environment(PYTHONPATH=""), "capture_output": True, "text": True}
    assert "make all trains one, or use --run smoke" in subprocess.run(call, **settings).stderr
    assert "1 picture: " in subprocess.run([*call, *option], **settings).stdout
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    assert commands(refusal(lambda: existing_run("smkoe"))) == [make_first]
    assert commands(refusal(lambda: usable_run("lab"))) == [["all"]]


def test_the_model_card_says_how_to_use_the_model(here):
    picture = next((here.run() / "data" / "inference" / "examples").glob("*.png"))
    (command,) = commands((here.run() / "models" / "README.md").read_text())
    assert here.plan(*filled(command, INPUT=str(picture.parent))).planned == ["06_infer"]


def test_a_dry_run_tells_what_would_run(here):
    said = here.make("-t", "all", "RUN=smoke").text
    option = re.search(r"make (-n) tells what would run", said)[1]
    assert well(here.make(option, "all", "RUN=smoke")).text.count("up to date") == 6


def spoil_cell(project: Project) -> Callable[[], Any]:
    path = project.folder / "notebooks" / "05_features.ipynb"
    sound = path.read_text()
    path.write_text(sound.replace('"import ', '"import import ', 1).replace('"from ', '"from from ', 1))
    return lambda: path.write_text(sound)


def spoil_module(project: Project) -> Callable[[], Any]:
    path = next(p for p in sorted(project.folder.joinpath("mnistlib").rglob("*.py")) if "TSNE(" in p.read_text())
    sound = path.read_text()
    path.write_text(f"{sound}\ndef")
    return lambda: path.write_text(sound)


@pytest.mark.parametrize("spoil", [spoil_cell, spoil_module])
def test_what_is_no_python_is_corrected_and_make_run_again(here, spoil):
    correct = spoil(here)
    refused = here.plan("features", "RUN=smoke")
    correct()
    assert refused.code != 0
    assert re.search(r"line \d+: .*; correct it and run make again", refused.text), refused.text
    assert well(here.plan("features", "RUN=smoke")).planned == []
