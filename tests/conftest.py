"""What tests share: MNIST where it is, a copy of the project to run in, one smoke pipeline."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from filelock import FileLock

from bench.browser import lab
from mnistlib.cli import cli
from mnistlib.core import files
from mnistlib.pipeline import plan
from mnistlib.runs import layout

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("Makefile", "mnistlib", "notebooks", "params", "pyproject.toml", "requirements.lock")
NO_NETWORK = "http://127.0.0.1:9"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the tests that run at once fill the cores

for deaf in (signal.SIGINT, signal.SIGHUP):  # a job in the background, or under nohup, hands down that it ignores them;
    if signal.getsignal(deaf) is signal.SIG_IGN:  # a handler is not handed down
        signal.signal(deaf, lambda number, frame: None)


class Made(NamedTuple):
    """How a make ended: its exit code and all it printed."""

    code: int
    text: str

    @property
    def stages(self) -> list[str]:
        """The stages that were executed, in order."""
        return [line.split()[1] for line in self.text.splitlines() if line.startswith("── ")]

    @property
    def planned(self) -> list[str]:
        """The stages that `make -n` or `make status` says would run, for sure or perhaps, in order."""
        return [line.split()[0] for line in self.text.splitlines() if re.match(r"\d\d_\w+ +(runs|perhaps)", line)]

    @property
    def certain(self) -> list[str]:
        """The stages that it says would run whatever the stages before them leave."""
        return [line.split()[0] for line in self.text.splitlines() if re.match(r"\d\d_\w+ +runs", line)]


class Project:
    """A copy of the project in a folder of its own, run as a user would, with this environment and no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / name)

    def environment(self, **more: str) -> dict[str, str]:
        """What a user's shell would have: this Python's environment active, no MNIST and no network."""
        kept = {k: v for k, v in os.environ.items() if k not in ("MNIST_DIR", "MAKEFLAGS", "MAKELEVEL", "CONDA_PREFIX")}
        active = {
            "VIRTUAL_ENV": sys.prefix,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "http_proxy": NO_NETWORK,
            "https_proxy": NO_NETWORK,
        }
        return {**kept, **active, **more}

    def settings(self, arguments: tuple[str, ...], environment: dict[str, str]) -> dict[str, Any]:
        """What `make` is started with."""
        env = self.environment(**environment)
        return {"args": ["make", *arguments], "cwd": self.folder, "env": env, "stderr": subprocess.STDOUT, "text": True}

    def make(self, *arguments: str, typed: str = "", **environment: str) -> Made:
        settings = self.settings(arguments, environment)
        done = subprocess.run(**settings, stdout=subprocess.PIPE, input=typed, timeout=900)
        return Made(done.returncode, done.stdout)

    def plan(self, *arguments: str, **environment: str) -> Made:
        """What make would execute and why, and nothing executed."""
        return self.make("-n", *arguments, **environment)

    def start(self, *arguments: str, output: IO[str] | int = subprocess.PIPE, **environment: str) -> subprocess.Popen:
        """A make that runs by itself, in a process group of its own, to be killed."""
        settings = self.settings(arguments, environment)
        return subprocess.Popen(**settings, stdout=output, stdin=subprocess.DEVNULL, start_new_session=True)

    def lasting_metrics(self, name: str = "smoke") -> dict[str, Any]:
        """The metrics that are the same for equal runs."""
        metrics = json.loads((self.run(name) / "reports" / "metrics.json").read_text())
        return {key: value for key, value in metrics.items() if not key.endswith(("_seconds", "_bytes"))}

    def copy(self, folder: Path) -> "Project":
        """The same project, finished runs and times included, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return self.at(folder)

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """The project that lies in a folder."""
        there = object.__new__(cls)
        there.folder = folder
        return there

    def run(self, name: str = "smoke") -> Path:
        return self.folder / "runs" / name


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: they often wait for makes, kernels and browsers."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, then with those that start makes: none is left for the end.

    Its process makes the smoke run; the others come to the files that need it later.
    """
    needs = {item.path: set() for item in items}
    for item in items:
        needs[item.path] |= set(getattr(item, "fixturenames", ()))
    items.sort(
        key=lambda item: (
            item.path.name != "test_jupyterlab.py",
            "project" not in needs[item.path] or "smoke" in needs[item.path],
            "smoke" not in needs[item.path],
        )
    )


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with real MNIST."""
    given = os.environ.get("MNIST_DIR")
    if not given:
        pytest.skip("MNIST_DIR is not set")
    folder = (ROOT / given).resolve()
    if not folder.is_dir():
        pytest.fail(f"MNIST_DIR is {folder}, which is no folder")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium for the tests of one file: asyncio cannot run beside it, and other files need that."""
    if not lab.can_browse():
        said = 'no page is tried in a browser: apt-get install chromium; pip install "notebook>=7.6" playwright'
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(said)
    with lab.chromium() as started:
        yield started


@pytest.fixture
def browser(chromium: Any) -> Callable[..., Any]:
    """Opens a page in that Chromium, in which every fault is noticed; takes Playwright's options of a context."""
    return partial(lab.watched_page, chromium)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project, its path with a space."""
    return Project(tmp_path / "my project")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the whole smoke pipeline has run once."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the processes that share the tests share the run as well, each its copy
        shared = shared.parent
    with FileLock(shared / "smoke.lock"):
        first = shared / "first smoke" / "my project"
        if not (first / "first.txt").is_file():
            shutil.rmtree(first, ignore_errors=True)
            result = Project(first).make("all", "PARAMS=smoke")
            assert result.code == 0, result.text
            (first / "first.txt").write_text(result.text)
    return Project.at(first).copy(tmp_path_factory.mktemp("smoke") / "my project")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable[..., Made]:
    """Calls a command for a project in this process, as make does in another; the settings are its environment.

    The code and the notebooks are those of this project, not the copy's. What would become make is an error.
    """

    def never(program: str, arguments: list[str]) -> None:
        raise AssertionError(f"it went on to {arguments}")

    def call(project: Project, name: str, **settings: str) -> Made:
        with monkeypatch.context() as patch:
            patch.setattr(files, "ROOT", project.folder)
            patch.setattr(layout, "RUNS", project.folder / "runs")
            patch.setattr(plan, "HANDWRITING", project.folder / "runs" / "handwriting")
            patch.setattr(os, "execvp", never)
            for unset in ("MNIST_DIR", "MAKEFLAGS"):
                patch.delenv(unset, raising=False)
            for setting, value in settings.items():
                patch.setenv(setting, value)
            capfd.readouterr()
            code = cli.main([name], standalone_mode=False)
        return Made(code, "".join(capfd.readouterr()))

    return call


@pytest.fixture
def made(smoke: Project, tmp_path: Path) -> Project:
    """A copy of the finished smoke project, for one test to change."""
    return smoke.copy(tmp_path / "my project")
