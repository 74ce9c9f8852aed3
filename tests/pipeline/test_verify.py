"""make verify: a run made again from its receipt, beside it."""

import json
import signal
import subprocess
import sys
import time

import pytest

from mnistlib.cli import cli
from mnistlib.pipeline.verify import environment, last_goals
from mnistlib.runs.layout import Run
from mnistlib.runs.receipt import load_receipt
from mnistlib.runs.stages import STAGE


def beside(project) -> list[str]:
    """The runs there are but smoke."""
    return sorted(p.name for p in (project.folder / "runs").iterdir() if p.is_dir() and p.name != "smoke")


@pytest.mark.parametrize(
    ("name", "words"), [("", "which run?"), ("../up", "RUN is '../up'"), ("nowhere", "there is no runs/nowhere")]
)
def test_no_run_is_refused(monkeypatch, capsys, name, words):
    monkeypatch.setenv("RUN", name)
    assert cli.main(["verify"], standalone_mode=False) == 2
    assert words in capsys.readouterr().err


def test_pictures_or_data_that_are_gone_are_said_first(made, command):
    path = made.run() / "receipt.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"data": whole["data"] | {"source": "local", "folder": "/no/such folder"}}))
    done = command(made, "verify", RUN="smoke")
    assert "digits from /no/such folder, which is not there: MNIST_DIR=folder make verify RUN=smoke" in done.text
    whole["parameters"]["infer"]["input"] = "gone.png"
    path.write_text(json.dumps(whole))
    done = command(made, "verify", RUN="smoke")
    assert "INPUT 'gone.png'" in done.text
    assert (done.code, done.stages, beside(made)) == (2, [], [])


def test_a_level_that_is_none_is_refused_before_a_run_is_begun(made, command):
    done = command(made, "verify", RUN="smoke", LOG="loud")
    assert "LOG is 'loud'; it can be one of debug, info, warning, error" in done.text
    assert "cannot be made again" not in done.text
    assert (done.code, done.stages, beside(made)) == (2, [], [])


@pytest.mark.parametrize("lost", ["train", "seed", None])
def test_a_receipt_that_lacks_parameters_is_not_filled_up(made, command, lost):
    path = made.run() / "receipt.json"
    whole = json.loads(path.read_text())
    kept = {k: v for k, v in whole["parameters"].items() if k != lost} if lost else {}
    path.write_text(json.dumps(whole | {"parameters": kept}))
    done = command(made, "verify", RUN="smoke")
    assert f"receipt.json does not say what {lost or 'seed'}" in done.text
    assert (done.code, done.stages, beside(made)) == (2, [], [])


def test_a_verification_that_is_ended_leaves_nothing(made):
    command = [sys.executable, "-m", "mnistlib", "verify"]
    environment = {"RUN": "smoke", "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "VIRTUAL_ENV": sys.prefix}
    with subprocess.Popen(command, cwd=made.folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while (
            not any(line.startswith("── 01_data") for line in iter(process.stdout.readline, ""))
            and time.monotonic() < until
        ):
            continue
        assert len(beside(made)) == 1
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 143
    assert "01_data interrupted after" in said
    assert "read runs/" not in said
    assert beside(made) == []


def test_make_is_asked_for_what_no_other_stage_needs():
    stages = list(STAGE)
    assert last_goals(stages) == ["features", "infer"]
    assert last_goals(stages[:5]) == ["evaluate", "features"]
    assert last_goals(stages[:2]) == ["preprocess"]


@pytest.mark.slow
def test_a_run_made_again_is_identical_and_goes_away(made):
    done = made.make("verify", "RUN=smoke")
    assert done.code == 0, done.text
    assert "runs/smoke: identical; every line in runs/smoke/status/verification.txt" in done.text
    told = (made.run() / "status" / "verification.txt").read_text()
    assert {line.split()[2] for line in told.splitlines()[1:]} == {"identical"}
    for name in ("models/pytorch_mnist_model.pth", "test_accuracy", "reports/figures/tsne_plot.png"):
        assert name in told
    assert beside(made) == []
    assert "verify" not in (made.folder / "runs" / "index.html").read_text()


@pytest.mark.slow
def test_a_receipt_of_two_stages_that_says_otherwise_is_different_and_both_are_kept(project):
    assert project.make("preprocess", "PARAMS=smoke").code == 0
    path = project.run() / "receipt.json"
    content = json.loads(path.read_text())
    content["metrics"]["02_preprocess"]["train_count"] = 5
    content["machines"][0]["versions"]["torch"] = "2.6.0"
    path.write_text(json.dumps(content))
    figure = project.run() / "reports" / "figures" / "samples.png"
    figure.write_bytes(figure.read_bytes() + b"x")
    done = project.make("verify", "RUN=smoke")
    assert done.stages == ["01_data", "02_preprocess"]
    assert done.code == 2  # make's own code for a command that ended with 1
    assert "Error 1" in done.text
    assert "different: train_count (02_preprocess): 5 → 1" in done.text
    assert "torch: 2.6.0 → " in done.text
    assert "samples.png (01_data)" in done.text
    assert "written to since the receipt" in done.text
    (again,) = set(beside(project)) - {"data"}
    assert f"made again: runs/{again}" in done.text


def test_the_receipts_settings_hold_but_where_one_is_set_here(smoke, monkeypatch):
    kept = load_receipt(Run("smoke", smoke.folder / "runs"))
    machine = kept.machines[0] | {"settings": {"OMP_NUM_THREADS": "3", "MKL_CBWR": "AVX2"}}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    passed = environment(kept.model_copy(update={"machines": [machine]}))
    assert (passed["OMP_NUM_THREADS"], passed["MKL_CBWR"]) == ("5", "AVX2")
