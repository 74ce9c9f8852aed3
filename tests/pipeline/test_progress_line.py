"""The line that a terminal shows while a stage runs, and who gets plain lines instead."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pseudoterminal import Terminal

from mnistlib.core.files import ROOT
from mnistlib.core.log import close_log, log_place, log_to, log_verdict, logger
from mnistlib.pipeline.progress_line import LiveLine, Progress, in_words, terminal
from mnistlib.reporting.progress import print_epoch, read_epoch
from mnistlib.training.history import Epoch

TO_A_PIPE = """
import pathlib, sys, time
from mnistlib.pipeline.progress_line import terminal
from mnistlib.core.log import log_to, logger, say
log_to(pathlib.Path(sys.argv[1]), "01_data", terminal("01_data", 0, 0, time.time()))
logger.info("heard")
sys.stdin.read()
{"log": logger.info, "say": say}[sys.argv[2]]("unheard")
logger.info("to the end")
print("and at Python's")
"""


@pytest.fixture
def screen(monkeypatch):
    """A terminal that can do all that is asked of one, and no settings that forbid it."""
    for name in ("NO_COLOR", "LOG", "MAKEFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_log()


def epoch_line(capsys, epoch: int, seconds: float) -> str:
    print_epoch(Epoch(epoch, 0.4321, 0.9, 0.2, 0.95, 0.01, seconds))
    return capsys.readouterr().out


def tell(screen: Terminal, folder: Path, expected: float = 0.0, epochs: int = 0) -> str:
    """A stage's records on that terminal; returns what the run's log keeps."""
    log_to(folder / "run.log", "03_train", terminal("03_train", expected, epochs, time.time(), screen.file))
    logger.info("── 03_train → runs/r")
    log_place("cell 5 of 23")
    logger.info("   printed \x1b[31mred\x1b[0m by a cell")
    logger.warning("   careful")
    time.sleep(0.15)
    log_place("cell 6 of 23")
    log_verdict(logging.INFO, "03_train ok in 1.0 s")
    close_log()
    screen.close()
    return (folder / "run.log").read_text()


def test_a_terminal_keeps_warnings_and_the_verdict_and_the_log_keeps_all(screen, tmp_path):
    log = tell(screen, tmp_path, expected=10**9)
    assert screen.screen() == ["   careful", "   03_train ok in 1.0 s", ""]
    assert "cell 6 of 23" in screen.raw
    assert re.search(r"03_train  \d+ s, about \d+ min left  ", screen.raw)
    for text in (
        "INFO ── 03_train",
        "DEBUG    cell 5",
        "INFO    printed red by",
        "WARNING    careful",
        "INFO    03_train ok",
    ):
        assert re.search(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ 03_train {text}", log, re.MULTILINE), text
    assert "\x1b" not in log
    assert "\x1b[33m" in screen.raw


def test_without_colour_there_is_no_control_sequence_at_all(screen, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    tell(screen, tmp_path)
    assert "\x1b" not in screen.raw
    assert "cell 6 of 23" in screen.raw
    assert screen.screen() == ["   careful", "   03_train ok in 1.0 s", ""]


@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("MAKEFLAGS", " -j2 --jobserver-auth=3,4"), ("MAKEFLAGS", "k -j")]
)
def test_simple_terminals_and_stages_side_by_side_get_plain_lines(screen, tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    tell(screen, tmp_path)
    plain = ["── 03_train → runs/r", "   printed red by a cell", "   careful", "   03_train ok in 1.0 s", ""]
    assert screen.screen() == plain
    assert screen.raw.count("\r") == screen.raw.count("\n")


def test_a_pipe_gets_the_lines_of_the_chosen_level(tmp_path, monkeypatch):
    told = {}
    for level in ("", "debug", "warning", "error"):
        monkeypatch.setenv("LOG", level)
        pipe = io.StringIO()
        log_to(tmp_path / "run.log", "01_data", terminal("01_data", 60, 0, time.time(), pipe))
        logger.info("   printed")
        log_place("cell 1 of 2")
        logger.warning("   \x1b[1mcareful")
        told[level] = pipe.getvalue().split("\n")[:-1]
    assert told == {
        "": ["   printed", "   careful"],
        "debug": ["   printed", "   cell 1 of 2", "   careful"],
        "warning": ["   careful"],
        "error": [],
    }


@pytest.mark.parametrize("way", ["log", "say"])
def test_a_reader_that_leaves_ends_nothing_and_the_log_keeps_all(tmp_path, way):
    command = [sys.executable, "-c", TO_A_PIPE, str(tmp_path / "run.log"), way]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"LOG": ""}, text=True, **pipes) as process:
        assert process.stdout.readline() == "heard\n"
        process.stdout.close()
        process.stdin.close()
        assert (process.stderr.read(), process.wait(60)) == ("", 0)
    assert "INFO to the end\n" in (tmp_path / "run.log").read_text()


def test_a_terminal_that_is_closed_ends_nothing_and_the_log_keeps_all(screen, tmp_path, capsys):
    log_to(tmp_path / "run.log", "01_data", terminal("01_data", 0, 0, time.time(), screen.file))
    os.close(screen.master)
    log_verdict(logging.INFO, "unheard")
    screen.file.flush()
    assert capsys.readouterr().err == ""
    assert "INFO    unheard\n" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize("name", ["papermill", "asyncio"])
def test_what_the_verdict_says_better_is_for_the_log_alone(tmp_path, capsys, name):
    log_to(tmp_path / "run.log", "01_data", terminal("01_data", 0, 0, time.time(), io.StringIO()))
    logging.getLogger(name).error("Task exception was never retrieved")
    close_log()
    logging.getLogger(name).error("nor was this one")
    assert capsys.readouterr() == ("", "")
    assert "ERROR Task exception was never retrieved\n" in (tmp_path / "run.log").read_text()


def test_a_stream_that_lacks_letters_gets_the_rest(tmp_path, capsys):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    log_to(tmp_path / "run.log", "01_data", terminal("01_data", 60, 0, time.time(), pipe))
    logger.info("── 01_data → runs/r")
    assert pipe.buffer.getvalue() == b"?? 01_data ? runs/r\n"
    assert capsys.readouterr().err == ""
    assert "── 01_data → runs/r" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_who_asks_for_a_level_has_its_lines_above_the_live_one(screen, tmp_path, monkeypatch):
    monkeypatch.setenv("LOG", "info")
    tell(screen, tmp_path)
    left = ["── 03_train → runs/r", "   printed red by a cell", "   careful", "   03_train ok in 1.0 s", ""]
    assert screen.screen() == left
    assert "cell 6 of 23" in screen.raw


def test_the_line_moves_by_itself_is_cut_to_the_width_and_goes_with_the_stage(screen):
    line = LiveLine(screen.file, Progress("03_train", 0, 0, time.time()), logging.WARNING)
    line.progress.place = "a place with a name " * 9
    line.handle(logging.makeLogRecord({"levelno": logging.DEBUG}))
    while len(re.findall(r"\r   03_train[^\r]+\r", screen.raw)) < 3:
        assert screen.read(), "it stands still"
    line.close()
    screen.close()
    assert screen.screen() == [""]


def test_epochs_say_how_much_longer_and_the_usual_does_until_then(capsys):
    progress = Progress("03_train", expected=2 * 10**9, epochs=10, began=time.time())
    assert re.fullmatch(r"   03_train  \d+ s, about \d+ min left  starting", progress.text())
    for epoch, seconds in ((3, 10.0), (4, 14.0)):
        progress.note(logging.makeLogRecord({"msg": "   %s", "args": (epoch_line(capsys, epoch, seconds),)}))
    assert re.fullmatch(
        r"   03_train  \d+ s, about [67]0 s left  starting  epoch 4 of 10  loss 0.4321", progress.text()
    )
    progress.expected = 0
    progress.note(logging.makeLogRecord({"msg": epoch_line(capsys, 10, 10.0)}))
    assert progress.seconds_left() == 0
    assert "left" not in progress.text()


def test_only_an_epoch_s_line_is_read_as_one(capsys):
    assert read_epoch(epoch_line(capsys, 112, 0.04)) == (112, "0.4321", 0.0)
    assert read_epoch("epoch 3 of the story  loss of a friend") is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, ""), (0, ""), (0.3, "about 1 s left"), (9.4, "about 9 s left"), (12.4, "about 10 s left"),
     (58, "about 60 s left"), (84, "about 80 s left"), (95, "about 2 min left")],
)  # fmt: skip
def test_a_rough_figure_is_given_roughly(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.slow
def test_a_stage_on_a_real_terminal_from_start_to_headline(made, screen):
    (made.run() / "notebooks" / "01_data.ipynb").unlink()
    (made.run() / "run.log").unlink()
    environment = made.environment(TERM="xterm")
    assert screen.run("make", "data", "RUN=smoke", cwd=made.folder, env=environment) == 0
    seen = screen.screen()
    assert seen[0].startswith("01_data        runs        notebooks/01_data.ipynb is missin")
    ended = next(place for place, line in enumerate(seen) if re.fullmatch(r"   01_data ok in \d+\.\d s", line))
    assert seen[ended + 1 : ended + 3] == ["", "smoke on scikit-learn's digits:"]
    assert [line for line in seen if line][-1].endswith("runs/smoke/reports/index.html")
    assert re.search(r"\r   01_data  \d+ s, about \d+ s left  starting *\r", screen.raw)
    assert re.search(r"\r   01_data  \d+ s.*  cell \d+ of 22 *\r", screen.raw)
    log = (made.run() / "run.log").read_text()
    assert "01_data INFO    all 15 checks passed\n" in log
    assert "01_data DEBUG    cell 21 of 22\n" in log
    assert "\x1b" not in log
    assert "\r" not in log


def test_ctrl_c_leaves_the_error_and_no_live_line(project, screen):
    notebook = project.folder / "notebooks" / "01_data.ipynb"
    cells = json.loads(notebook.read_text())
    slow = next(cell for cell in cells["cells"] if "obtain(" in "".join(cell["source"]))
    slow["source"] = ["import sys, time\n", "print('\\x1b[2Jasleep', file=sys.stderr, flush=True)\n", "time.sleep(600)"]
    notebook.write_text(json.dumps(cells))
    command = ["make", "data", "RUN=r"]
    code = screen.run(*command, cwd=project.folder, env=project.environment(TERM="xterm"), until="asleep", typed="\x03")
    assert code != 0
    seen = [line for line in screen.screen() if line]
    assert seen[:2] == ["01_data        runs        has not run yet", "   asleep"]
    assert re.fullmatch(r"   01_data interrupted after \d+\.\d s", seen[2])
    assert seen[3:5] == ["   interrupted before its end", "   read runs/r/reports/01_data.html"]
    assert "\r   01_data  " not in screen.raw.partition("interrupted after")[2]
    assert seen[5].startswith("make"), seen
    assert json.loads((project.run("r") / "status" / "01_data.json").read_text())["verdict"] == "interrupted"
    assert "\x1b" not in (project.run("r") / "run.log").read_text()
