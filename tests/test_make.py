"""What people type: the help, settings with odd characters, bad input, a make killed in its training."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mnistlib.core import config
from mnistlib.core.files import ROOT, write_json
from mnistlib.data.datasets import FILES
from mnistlib.pipeline import kernel
from mnistlib.pipeline.plan import data_reasons
from mnistlib.pipeline.resolve import choose
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import asked_to_run_nothing

ODD = [
    "a b",
    'a"b',
    "a'b",
    "a;touch owned",
    "../up",
    "$(shell touch owned)",
    "`touch owned`",
    "$HOME",
    "a\\b",
    "é",
    "#x",
    "%",
]


def test_help_lists_every_target(project):
    text = project.make().text
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text().split("\nelse\n")[0], re.MULTILINE)
    named = " ".join(targets).replace("$(GOALS)", "data preprocess train evaluate features infer").split()
    assert len(named) >= 14
    for name in named:
        assert re.search(rf"^  make {name}\b", text, re.MULTILINE), name


def test_help_names_profiles_and_settings_and_what_developers_need_last(project):
    text = project.make().text
    everyday, developers, settings = re.split(r"^For developers$|^Settings.*$", text, flags=re.MULTILINE)
    assert "make infer " in everyday
    assert "make clean " in everyday
    assert "make test " in developers
    profiles = next(line for line in settings.splitlines() if line.startswith("  PARAMS "))
    assert {path.stem for path in (ROOT / "params").glob("*.yaml")} <= set(profiles.split())
    assert "(default: default)" in profiles
    for name in ("RUN", "SET", "INPUT", "A, B", "SEED", "TRACKING", "MNIST_DIR", "LOG", "LAB"):
        assert re.search(rf"^  (KILLS, )?{name} ", settings, re.MULTILINE), name
    assert max(map(len, text.splitlines())) <= 120


def untouched(project) -> bool:
    return not (project.folder / "runs").exists() and not list(project.folder.rglob("owned"))


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", ["RUN", "PARAMS", "SET"])
def test_odd_settings_are_refused(smoke, command, tmp_path, monkeypatch, name, text):
    """That make itself expands and runs nothing of them, tests/attacks shows."""
    monkeypatch.chdir(tmp_path)
    before = sorted(smoke.folder.rglob("*"))
    done = command(smoke, "resolve", **{name: text})
    assert done.code == 2
    assert name in done.text
    assert (sorted(smoke.folder.rglob("*")), list(tmp_path.iterdir())) == (before, [])


@pytest.mark.parametrize("text", ["no such folder", "$(shell touch owned)", "a;touch owned", "it's"])
def test_input_that_is_not_there_is_refused(project, command, text):
    done = command(project, "resolve", GOAL="infer", PARAMS="smoke", INPUT=text)
    assert done.code == 2
    assert "INPUT" in done.text
    assert untouched(project)


@pytest.mark.parametrize("said", ["infer.input=scans", "infer={input: scans}", "train.epochs=3 infer.input=scans"])
def test_pictures_may_be_named_among_the_parameters(tmp_path, monkeypatch, said):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    assert choose("smoke", "", said, "")[1].infer.input == "scans"
    assert choose("smoke", "", "", "")[1].infer.input == ""


def test_pictures_may_be_named_in_a_profile(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    profile = tmp_path / "mine.yaml"
    profile.write_text("infer: {input: scans}\n")
    assert choose(str(profile), "", "", "")[1].infer.input == "scans"
    assert choose(str(profile), "", 'infer.input=""', "")[1].infer.input == ""


def test_what_is_refused_for_its_pictures_leaves_no_other_setting_behind(made, command):
    before = {path: path.read_bytes() for path in (made.run("smoke") / "params").iterdir()}
    done = command(made, "resolve", RUN="smoke", SET="infer.input=/nowhere train.hidden=3")
    assert done.code == 2
    assert {path: path.read_bytes() for path in (made.run("smoke") / "params").iterdir()} == before


def test_a_profile_whose_pictures_are_not_there_leaves_nothing_behind(project):
    (project.folder / "own.yaml").write_text("infer: {input: missing}\n")
    done = project.make("all", "PARAMS=own.yaml")
    assert "INPUT 'missing' cannot be read" in done.text
    assert (done.code, untouched(project)) == (2, True)


@pytest.fixture
def gone(made):
    """The smoke project once it has recognised a picture that has moved away since; its answer."""
    (made.folder / "scans").mkdir()
    picture = Image.new("L", (28, 28), 255)
    picture.paste(0, (12, 4, 16, 24))
    picture.save(made.folder / "scans" / "mine.png")
    assert made.make("infer", "RUN=smoke", "INPUT=scans").stages == ["06_infer"]
    (made.folder / "scans").rename(made.folder / "moved")
    return made, (made.run() / "data" / "inference" / "predictions.csv").read_bytes()


@pytest.mark.slow
def test_answers_stay_when_their_pictures_are_gone(gone):
    made, answers = gone
    given = json.loads((made.run() / "receipt.json").read_text())["data"]["input"]
    (made.run() / "reports" / "index.html").unlink()
    done = made.make("all", "RUN=smoke")
    assert (done.code, done.stages) == (0, []), done.text
    assert json.loads((made.run() / "receipt.json").read_text())["data"]["input"] == given != {}
    assert (made.run() / "data" / "inference" / "predictions.csv").read_bytes() == answers
    again = made.make("infer", "RUN=smoke", "INPUT=moved")
    assert (again.code, again.stages) == (0, ["06_infer"])


@pytest.mark.slow
def test_who_needs_pictures_that_are_gone_is_told_both_ways_out(gone):
    made, answers = gone
    resolved = {path: path.read_bytes() for path in (made.run() / "params").iterdir()}
    refused = made.make("all", "RUN=smoke", "SET=infer.shown=5")
    assert {path: path.read_bytes() for path in (made.run() / "params").iterdir()} == resolved
    (made.run() / "data" / "inference" / "predictions.csv").rename(made.run() / "predictions.csv")
    refused_later = made.make("all", "RUN=smoke")
    (made.run() / "predictions.csv").rename(made.run() / "data" / "inference" / "predictions.csv")
    for done in (refused, refused_later):
        assert (done.code, done.stages) == (2, [])
        for words in ("INPUT 'scans' cannot be read", "INPUT=… names the pictures", "SET=infer.input= goes back"):
            assert words in done.text
    assert (made.run() / "data" / "inference" / "predictions.csv").read_bytes() == answers
    back = made.make("infer", "RUN=smoke", "SET=infer.input=")
    assert (back.code, back.stages) == (0, ["06_infer"])
    assert b"test_" in (made.run() / "data" / "inference" / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("here", "named", "expected"),
    [
        (("a", "b", "c", "d"), (), False),
        (("a", "b", "c", "d"), FILES, False),
        (("a", "b", "c"), FILES, True),
        (("a", "b", "c"), FILES[:3], False),
        ((), FILES, True),
        ((), (), False),
    ],
)
def test_a_dataset_that_has_moved_is_looked_for_where_it_is_and_one_that_is_gone_leaves_the_run_be(
    tmp_path, monkeypatch, here, named, expected
):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, names in ((old, here), (new, named)):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"1234")
    files = [{"file": name, "bytes": 4} for name in ("a", "b", "c", "d")]
    write_json(Run("r").raw_json, {"dataset": "kmnist", "source": "local", "folder": str(old), "files": files})
    resolved = config.load("default", f"data.dataset=kmnist data.local_dir={new}")
    assert bool(data_reasons(Run("r"), resolved)) is expected
    if here == ("a", "b", "c", "d") and named:
        (old / "a").write_bytes(b"12345")
        assert data_reasons(Run("r"), resolved)


def test_digits_that_were_asked_for_stand_in_for_nothing_better(tmp_path, monkeypatch, mnist_dir):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setenv("MNIST_DIR", str(mnist_dir))
    write_json(
        Run("r").raw_json, {"dataset": "digits", "source": "digits", "fallback": True, "folder": "", "files": []}
    )
    assert data_reasons(Run("r"), config.load("default"))
    assert not data_reasons(Run("r"), config.load("default", "data.source=digits"))


def test_pictures_for_a_run_that_is_not_there_train_nothing(made, command):
    Image.new("L", (28, 28), 255).save(made.folder / "a.png")
    done = command(made, "resolve", GOAL="infer", RUN="smkoe", INPUT=str(made.folder / "a.png"))
    assert (
        "there is no runs/smkoe to recognize pictures with: make infer RUN=smoke INPUT=…, or make all RUN=smkoe"
        in done.text
    )
    assert (done.code, made.run("smkoe").exists()) == (2, False)


@pytest.mark.slow
def test_pictures_are_answered_before_any_page_and_again_without_one(made):
    (made.folder / "scans" / "more").mkdir(parents=True)
    first, second, *_ = sorted((made.run() / "data" / "inference" / "examples").glob("*.png"))
    shutil.copy(first, made.folder / "scans" / "one.png")
    shutil.copy(second, made.folder / "scans" / "more" / "two.png")
    (made.folder / "scans" / "letter.docx").write_text("no picture")
    for stages in (["06_infer"], []):
        done = made.make("infer", "RUN=smoke", "INPUT=scans")
        assert (done.code, done.stages) == (0, stages), done.text
        lines = done.text.splitlines()
        assert lines[0].split()[:2] == ["scans/more/two.png", second.stem[-1]]
        assert lines[1].split()[:2] == ["scans/one.png", first.stem[-1]]
        assert "1 file left out: .docx (1)" in lines[2]
        assert f"answers  {made.run()}/data/inference/predictions.csv" in lines
        assert any(line.startswith("report   file://") for line in lines)
    (made.folder / "scans" / "one.png").write_bytes(b"no picture")
    done = made.make("infer", "RUN=smoke", "INPUT=scans/one.png")
    assert (done.code != 0, done.stages) == (True, ["06_infer"])
    assert "1 picture: 0 accepted, 0 rejected, 1 not readable" in done.text


def by_hand(made) -> dict:
    """Make a run `lab` as notebooks run by hand leave it, without a file of make's; returns what its files hold."""
    shutil.copytree(made.run(), made.run("lab"))
    for path in (*made.run("lab").rglob("*.html"), made.run("lab") / "receipt.json", made.run("lab") / "run.log"):
        path.unlink()
    for name in ("params", "status", "notebooks"):
        shutil.rmtree(made.run("lab") / name)
    return {path: path.read_bytes() for path in made.run("lab").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_run_made_by_hand_is_not_taken_for_one_of_makes_nor_trained_over_unasked(made, command):
    left = by_hand(made)
    Image.new("L", (28, 28), 255).save(made.folder / "a.png")
    for name, said in (
        ("resolve", {"GOAL": "infer", "INPUT": str(made.folder / "a.png")}),
        ("resolve", {"GOAL": "infer"}),
        ("resolve", {}),
        ("resolve", {"SET": "train.epochs=3"}),
        ("teach", {}),
        ("compare", {"A": "smoke", "B": "lab"}),
        ("compare", {"A": "lab", "B": "smoke"}),
        ("verify", {}),
    ):
        done = command(made, name, RUN="lab", **said)
        assert "runs/lab was made by hand, in notebooks" in done.text, said
        assert "make all RUN=lab PARAMS=… trains again and replaces its model" in done.text
        assert (done.code, done.stages) == (2, [])
    assert {path: path.read_bytes() for path in made.run("lab").rglob("*") if path.is_file()} == left
    done = made.make("train", "RUN=lab", "PARAMS=smoke", "SET=train.epochs=1")
    assert (done.code, done.stages[-1]) == (0, "03_train")
    assert "test accuracy" not in done.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["SET=train.epoch=3"], "did you mean train.epochs"),
        (["SET=train.epochs=many"], "train.epochs"),
        (["PARAMS=nowhere"], "profiles: best, default"),
        (["RUN=data"], "choose another"),
        (["LOG=loud"], "LOG is 'loud'; it can be one of debug, info, warning, error"),
    ],
)
def test_wrong_settings_get_one_clear_line_and_touch_nothing(project, settings, words):
    done = project.make("all", *settings)
    assert done.code == 2
    assert words in done.text
    assert "Traceback" not in done.text
    assert untouched(project)


def test_a_missing_mnist_dir_stops_01_and_says_what_to_do(project):
    done = project.make("data", "RUN=r", MNIST_DIR="/no/such folder")
    assert done.code != 0
    assert "/no/such folder" in done.text
    assert "MNIST_DIR" in done.text
    assert (project.run("r") / "notebooks" / "01_data.failed.ipynb").is_file()
    assert not (project.run("r") / "notebooks" / "01_data.ipynb").exists()
    page = (project.run("r") / "reports" / "01_data.html").read_text()
    assert "failed in cell" in page
    assert "/no/such folder" in page


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts read-only, as Linux lets one")
def test_runs_on_a_read_only_mount_is_said_plainly(project):
    (project.folder / "runs").mkdir()
    script = (
        "mount --bind runs runs && mount -o remount,ro,bind runs && "
        f'PATH="{sys.prefix}/bin:$PATH" VIRTUAL_ENV="{sys.prefix}" make all PARAMS=smoke'
    )
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr.strip()}")
    assert done.returncode
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_broken_nbconvert_is_said_plainly_and_what_was_executed_is_kept(project):
    broken = project.folder / "nbconvert"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ValueError(\"No template named 'classic'\")")
    done = project.make("data", "PARAMS=smoke")
    assert done.code
    assert "nbconvert cannot make pages here (ValueError: No template named 'classic')" in done.text
    assert "Traceback" not in done.text
    shutil.rmtree(broken)
    again = project.make("data", "PARAMS=smoke")
    assert (again.code, again.stages) == (0, []), again.text
    assert (project.run() / "reports" / "01_data.html").is_file()


@pytest.mark.parametrize(
    ("jobs", "wanted", "shared"),
    [
        ([], None, False),
        (["-j2"], None, True),
        (["-j2"], "3", False),
        pytest.param(["-j1"], None, False, marks=pytest.mark.slow),
        pytest.param(["-j"], None, True, marks=pytest.mark.slow),
    ],
)
def test_stages_that_run_at_once_share_the_cores(project, monkeypatch, jobs, wanted, shared):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = {"OMP_NUM_THREADS": wanted} if wanted else {}
    dry = project.folder / "dry-make"
    dry.write_text('#!/bin/sh\necho "$@"\nexec make -n "$@"\n')
    dry.chmod(0o755)
    path = f"{project.folder}{os.pathsep}{project.environment()['PATH']}"
    text = project.make("MAKE=dry-make", *jobs, "all", "PARAMS=smoke", PATH=path, **environment).text
    given = set(re.findall(r'env OMP_NUM_THREADS="\$SHARED_THREADS" .*mnistlib execute (\S+)', text))
    assert (f" SHARED_THREADS={max(1, (os.cpu_count() or 1) // 2)} " in text) == shared
    assert given == ({"04_evaluate", "05_features"} if shared else set())
    alone = shared or "-j2" in jobs or sys.platform != "linux"
    assert text.count("mnistlib execute") == (6 if alone else 1)  # one runner for all that run one after the other


@pytest.mark.parametrize(
    ("flags", "code"), [(["-n"], 0), (["-q"], 1), (["-t"], 2), (["-kn", "-j2"], 0), (["--dry-run"], 0)]
)
def test_a_make_that_shall_run_nothing_tells_what_it_would_run_and_writes_nothing(project, flags, code):
    done = project.make(*flags, "all", "PARAMS=smoke")
    assert (done.code, untouched(project)) == (code, True)
    assert len(done.planned) == (6 if code != 2 else 0)
    assert "which run?" not in project.make("-n", "verify").text


@pytest.mark.parametrize("flags", ["", " --no-print-directory -- RUN=n", "-- RUN=tiny", "k", " -In", "RUN=n"])
def test_other_flags_of_make_are_no_dry_run(monkeypatch, flags):
    monkeypatch.setenv("MAKEFLAGS", flags)
    assert asked_to_run_nothing() == ""


def in_shell(project, first: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and output of a make in a shell that has run a command of its own `first`."""
    settings = {**project.settings((), environment), "args": ["sh", "-c", f'{first}; exec make "$@"', "sh", *arguments]}
    done = subprocess.run(**settings, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_what_a_shell_sets_for_other_pythons_and_a_low_limit_on_open_files_change_nothing(project, tmp_path):
    for name in ("numpy", "mnistlib", "encodings"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('another {name}')")
    (tmp_path / "startup.py").write_text("raise SystemExit('startup')")
    elsewhere = {
        "PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PYTHONPLATLIBDIR": "nowhere", "PYTHONSAFEPATH": "1",
        "PYTHONINSPECT": "1", "PYTHONSTARTUP": str(tmp_path / "startup.py"), "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error", "PYTHONEXECUTABLE": "/no/such/python",
    }  # fmt: skip
    code, text = in_shell(project, "ulimit -S -n 40", "data", "PARAMS=smoke", **elsewhere)
    assert code == 0, text
    assert "01_data ok" in text
    on_its_line = project.make("env", *(f"{name}={value}" for name, value in elsewhere.items()))
    assert (on_its_line.code, on_its_line.text) == (0, f"{Path(sys.prefix) / 'bin' / 'python3'}\n")
    unwanted = (ROOT / "Makefile").read_text().split("UNWANTED := ")[1].split("IGNORED")[0]
    assert set(elsewhere) == set(re.findall(r"PYTHON\w+", unwanted))
    assert set(elsewhere) == kernel.PERSONAL - {"MPLBACKEND"}


def test_too_low_a_limit_on_open_files_is_named_before_anything_is_done(project):
    code, text = in_shell(project, "ulimit -n 40", "all", "PARAMS=smoke")
    assert code
    assert "this shell allows 40 open files (ulimit -n), and a stage needs 96: use a new terminal" in text
    assert "Traceback" not in text
    assert untouched(project)


HOLDER = """
from mnistlib.runs.lock import lock_run
from mnistlib.runs.layout import Run

lock_run(Run("r"))
print("held", flush=True)
input()
"""


def test_a_second_make_in_a_run_is_told_who_is_at_work(project):
    project.run("r").mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, cwd=project.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        for command, answer in (("all", ""), ("clean", "y\n")):
            done = project.make(command, "RUN=r", "PARAMS=smoke", typed=answer)
            assert done.code == 2
            assert f"runs/r is in use by process {holder.pid} on {socket.gethostname()} since 20" in done.text
            assert done.stages == []
        assert project.plan("all", "RUN=other", "PARAMS=smoke").code == 0
        holder.kill()
    assert project.plan("all", "RUN=r", "PARAMS=smoke").code == 0


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(made):
    weights, page = made.run() / "models" / "pytorch_mnist_model.pth", made.run() / "reports" / "03_train.html"
    expected, metrics = weights.read_bytes(), made.lasting_metrics()
    weights.unlink()
    with made.start("all", "PARAMS=smoke") as making:
        assert next(line for line in making.stdout if "epoch   4" in line)
        os.killpg(making.pid, signal.SIGKILL)
    assert list((made.run() / "checkpoints").glob("*.pt"))
    done = made.make("all", "PARAMS=smoke")
    assert done.stages == ["03_train"], done.text
    assert re.search(r"resumed after epoch [4-8]", done.text)
    assert "resumed after epoch" in page.read_text()
    assert weights.read_bytes() == expected
    assert made.lasting_metrics() == metrics
    assert not list(made.run().rglob("*.part*"))
    assert not (made.run() / "checkpoints").exists()


def test_clean_asks_first(project):
    (project.run("r") / "data" / "inference").mkdir(parents=True)
    (project.run("r") / "data" / "inference" / "mine.json").write_text("{}")
    done = project.make("clean", "RUN=r")
    assert "data/inference" in done.text
    assert (project.run("r") / "data" / "inference" / "mine.json").exists()
    assert project.make("clean", "RUN=../..").code != 0


def test_a_run_that_was_cleaned_away_is_not_listed(made):
    page = made.folder / "runs" / "index.html"
    assert "smoke/reports/index.html" in page.read_text()
    made.make("clean", "RUN=smoke", typed="y\n")
    assert not made.run().exists()
    assert "smoke/reports/index.html" not in page.read_text()
