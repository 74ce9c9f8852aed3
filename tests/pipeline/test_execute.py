"""One stage at a time, with notebooks that end in every way a notebook can."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any

import pytest

from mnistlib.core.files import ROOT
from mnistlib.core.log import logger
from mnistlib.pipeline import kernel
from mnistlib.pipeline.execute import execute
from mnistlib.pipeline.kernel import PREFIX, EarlyKernel
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.record import Inputs, read_record
from mnistlib.runs.stages import STAGE

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel is forked")
PARAMETERS = """run: str = "lab"  # the run
seed: int = 0  # the seed
val_fraction: float = 0.1  # share
train_limit: int = 0  # at most"""
OPENING = "from mnistlib.runs.layout import Run\nhere = Run(run)"

WARM_FIRST = """import os, pathlib, sys
from mnistlib.pipeline import kernel, kernel_server
kernel_server.start(kernel.environment(pathlib.Path(os.devnull)))
os.execv(sys.argv[1], sys.argv[1:])"""  # as the step before make does
EITHER_KERNEL = pytest.mark.parametrize("warm", [False, pytest.param(True, marks=LINUX)])


def cell(source: str, *tags: str) -> dict:
    return {
        "cell_type": "code", "id": f"c{abs(hash(source)) % 10**8}", "metadata": {"tags": list(tags)},
        "source": source, "outputs": [], "execution_count": None,
    }  # fmt: skip


@pytest.fixture
def stage(project):
    """Put code into 02_preprocess and start it; what still runs after the test is ended."""
    started: list[subprocess.Popen] = []

    def start(*codes: str, parameters: str = PARAMETERS, warm: bool = False) -> subprocess.Popen:
        cells = [cell(parameters, "parameters"), cell(OPENING, "setup"), *map(cell, codes)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (project.folder / "notebooks" / "02_preprocess.ipynb").write_text(json.dumps(notebook))
        command = [sys.executable, "-m", "mnistlib", "execute", "02_preprocess", "--run", "r"]
        if warm:
            command = [sys.executable, "-c", WARM_FIRST, *command]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=project.folder, **pipes))
        return started[-1]

    start.folder = project.run("r")
    start.project = project
    yield start
    for process in started:
        process.kill()


def verdict(stage) -> dict:
    return json.loads((stage.folder / "status" / "02_preprocess.json").read_text())


def kept(stage) -> list[str]:
    return sorted(f.name for f in (stage.folder / "notebooks").iterdir())


def test_a_failure_keeps_notebook_page_status_and_says_where(stage):
    process = stage('print("so far")', "raise ValueError('no <b>luck</b>')", "print('never')")
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "so far" in text
    assert "02_preprocess failed in cell" in text
    assert "ValueError: no <b>luck</b>" in text
    assert "runs/r/reports/02_preprocess.html" in text
    assert (verdict(stage)["verdict"], verdict(stage)["error"]) == ("failed", "ValueError: no <b>luck</b>")
    assert kept(stage) == ["02_preprocess.failed.ipynb"]
    page = (stage.folder / "reports" / "02_preprocess.html").read_text()
    assert "no &lt;b&gt;luck" in page
    assert "<b>luck" not in page
    assert "failed" in (stage.folder / "reports" / "index.html").read_text()


def test_a_failure_without_a_page_says_why_and_points_to_the_log(stage, tmp_path, monkeypatch):
    (tmp_path / "nbconvert").mkdir()
    (tmp_path / "nbconvert" / "__init__.py").write_text("raise ValueError(\"No template named 'classic'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    text, _ = stage("raise ValueError('no luck')").communicate(timeout=120)
    assert "no page: nbconvert cannot make pages here" in text
    assert "ValueError: no luck" in text
    assert "read runs/r/run.log" in text
    assert "Traceback" not in text.split("02_preprocess failed")[1]
    assert kept(stage) == ["02_preprocess.failed.ipynb"]


def test_an_end_without_its_files_is_a_failure(stage):
    process = stage("x = 1")
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "without leaving" in text
    assert "data/processed/statistics.json" in text
    assert kept(stage) == ["02_preprocess.failed.ipynb"]


@EITHER_KERNEL
def test_a_dead_kernel_is_called_so(stage, warm):
    last = "get_ipython().kernel.log.error('last words, of no cell')"
    cut_off = "os.write(sys.__stderr__.fileno(), b'cut off')"
    process = stage(last, f"import os, signal, sys; {cut_off}; os.kill(os.getpid(), signal.SIGKILL)", warm=warm)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 137
    log = (stage.folder / "run.log").read_text()
    assert "last words, of no cell" in log
    assert "cut off" in log
    assert "waiting for execute reply" in log
    assert "waiting for execute reply" not in text
    assert verdict(stage)["verdict"] == "died"
    assert "02_preprocess.ipynb" not in kept(stage)


def test_a_cell_that_hangs_is_timed_out(stage):
    (stage.project.folder / "params" / "default.yaml").write_text(
        (stage.project.folder / "params" / "default.yaml").read_text().replace("timeout: 1800", "timeout: 2")
    )
    process = stage("import time; time.sleep(600)")
    process.communicate(timeout=120)
    assert process.returncode == 124
    assert verdict(stage)["verdict"] == "timed out"


@pytest.mark.parametrize(
    ("number", "code", "warm"),
    [
        (signal.SIGTERM, 143, False),
        pytest.param(signal.SIGINT, 130, True, marks=LINUX),
        pytest.param(signal.SIGHUP, 129, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, True, marks=[LINUX, pytest.mark.slow]),
        pytest.param(signal.SIGINT, 130, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, True, marks=[LINUX, pytest.mark.slow]),
    ],
)
def test_an_interruption_leaves_no_kernel_behind(stage, number, code, warm):
    process = stage("import os; print('pid', os.getpid(), flush=True)", "import time; time.sleep(600)", warm=warm)
    line = next(line for line in process.stdout if "pid" in line)
    kernel = int(line.split()[-1])
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert verdict(stage)["verdict"] == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    assert "02_preprocess.ipynb" not in kept(stage)


@pytest.mark.parametrize("wait", [0, 0.7])
@pytest.mark.slow
def test_a_stage_that_has_ended_stays_ended_when_make_is_interrupted_while_pages_are_written(project, wait):
    making = project.start("data", "PARAMS=smoke")
    next(line for line in making.stdout if "01_data ok in" in line)
    time.sleep(wait)
    for _ in range(3):
        with suppress(ProcessLookupError):
            os.killpg(making.pid, signal.SIGINT)
        time.sleep(0.1)
    text, _ = making.communicate(timeout=60)
    assert "Traceback" not in text
    assert read_record(Run("smoke", project.run().parent), "01_data").verdict == "ok"
    assert project.make("data", "PARAMS=smoke").stages == []


def test_an_interruption_at_the_first_word_has_a_verdict_too(monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(logger, "info", lambda *told: sys.exit(143))  # as the handler of SIGTERM does
    nothing = Inputs({}, [], {}, {}, {})
    assert execute(Run("r"), STAGE["02_preprocess"], {}, nothing, None, time.time()) == 143
    assert read_record(Run("r"), "02_preprocess").verdict == "interrupted"


@EITHER_KERNEL
def test_a_killed_runner_leaves_no_kernel_and_no_verdict_but_died(stage, warm):
    process = stage("import os; print('pid', os.getpid(), flush=True)", "import time; time.sleep(600)", warm=warm)
    line = next(line for line in process.stdout if "pid" in line)
    running = Run("r", stage.folder.parent)
    assert read_record(running, "02_preprocess").verdict == "running"
    process.kill()
    process.communicate(timeout=60)
    assert gone(int(line.split()[-1]))
    assert read_record(running, "02_preprocess").verdict == "died"
    assert kept(stage) == [".02_preprocess.part.ipynb"]


def test_folders_of_killed_runners_are_swept_away_and_those_of_living_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / "connection.json").write_text("{}")
    first, second = EarlyKernel(), EarlyKernel()
    assert sorted(tmp_path.iterdir()) == sorted([first.folder, second.folder])
    first.close()
    second.close()
    assert not list(tmp_path.iterdir())


PERSONAL_FILES = {  # each of them alone would change the page
    ".ipython/profile_default/ipython_config.py": "c.InteractiveShell.ast_node_interactivity = 'none'\n",
    ".config/matplotlib/matplotlibrc": "text.usetex: True\nno.such.key: 1\n",
    "startup.py": "person = 'here'\n",
}


@EITHER_KERNEL
def test_what_people_set_for_themselves_changes_no_page(stage, tmp_path, monkeypatch, warm):
    for file, text in PERSONAL_FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    for name in ("IPYTHONDIR", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "MATPLOTLIBRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": ".", "PYTHONSTARTUP": "startup.py", "MPLBACKEND": "no backend"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    show = "import matplotlib.pyplot as plt\nplt.get_backend(), plt.rcParams['text.usetex'], 'person' in globals()"
    stage(show, warm=warm).communicate(timeout=120)
    notebook = json.loads((stage.folder / "notebooks" / "02_preprocess.failed.ipynb").read_text())
    said = str(notebook["cells"][-1]["outputs"])
    assert "inline" in said
    assert "False, False)" in said
    assert "no.such.key" not in said


def test_a_kernel_is_led_to_no_other_python(monkeypatch, tmp_path):
    for name in kernel.PERSONAL:
        monkeypatch.setenv(name, "/opt/other")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    given = kernel.environment(tmp_path)
    assert {name: given[name] for name in kernel.PERSONAL & set(given)} == {"PYTHONPATH": str(ROOT)}
    assert given["PYTHONHASHSEED"] == "7"


@pytest.mark.slow
def test_a_temporary_folder_of_any_depth_will_do(project, tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    done = project.make("data", "PARAMS=smoke", TMPDIR=str(deep))
    assert (done.code, done.stages) == (0, ["01_data"]), done.text


def test_what_a_kernel_says_itself_is_kept_and_its_farewell_is_no_news(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kernel = EarlyKernel()
    kernel.close()
    manager = kernel.manager_class()()
    for ended in (False, True):
        if ended:  # as every shutdown begins
            with pytest.raises(RuntimeError, match="No kernel is running"):
                asyncio.run(manager._async_interrupt_kernel())
        said = [sys.executable, "-c", "print('no memory left')"]
        kernel.process = subprocess.Popen(said, stdout=subprocess.PIPE, text=True)
        with caplog.at_level(logging.DEBUG, "mnistlib"):
            kernel.listen()
    assert [(r.levelname, r.getMessage().split()[-1]) for r in caplog.records] == [("INFO", "left"), ("DEBUG", "left")]


def gone(process: int) -> bool:
    """Whether it ends within a few seconds."""
    for _ in range(50):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "parameters",
    [
        PARAMETERS.replace("train_limit", "train_limt"),
        PARAMETERS + "\nmore: int = 1  # too much",
        PARAMETERS.split("\ntrain")[0],
    ],
)
def test_a_parameters_cell_that_does_not_fit_is_refused_before_a_kernel(stage, parameters):
    process = stage("1", parameters=parameters)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "parameters cell" in text
    assert not stage.folder.exists()


def test_wrong_parameters_are_refused_before_anything_is_touched(stage):
    (stage.folder / "params").mkdir(parents=True)
    (stage.folder / "params" / "params.yaml").write_text("train:\n  epoch: 3\n")
    process = stage("1")
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "unknown parameter train.epoch; did you mean train.epochs?" in text
    assert sorted(f.name for f in stage.folder.iterdir()) == ["params"]


def test_an_unknown_stage_or_run_is_refused(project):
    for arguments in (["07_sell", "--run", "r"], ["01_data", "--run", "../r"]):
        command = [sys.executable, "-m", "mnistlib", "execute", *arguments]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
        assert done.returncode == 2
        assert not (project.folder / "runs").exists()
