"""What pip is told to install holds what is lacking, and what the doctor advises makes it content."""

import importlib.metadata as metadata
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.imaging import image_formats
from mnistlib.imaging.limits import PictureError
from mnistlib.inference import onnx_export
from mnistlib.pipeline import doctor, environment, mlflow_tracking
from mnistlib.runs.layout import Run
from tests.typed import commands

PIP = re.compile(r"(\S+) -m pip install (.+)$")


def export_lacks(patch):
    patch.setattr(importlib.util, "find_spec", lambda name: None)
    return onnx_export.NEEDED, lambda: onnx_export.export_onnx(Run("r"))


def tracking_lacks(patch):
    patch.setattr(importlib.util, "find_spec", lambda name: None)
    return (mlflow_tracking.NEEDED,), lambda: mlflow_tracking.check_tracking("mlflow")


def a_format_lacks(package, patch):
    def nothing(name):
        raise ImportError(name)

    patch.setattr(image_formats, "import_module", nothing)
    return (package[0],), lambda: image_formats.optional_module(package, "it")


LACKING = {
    "export": export_lacks,
    "tracking": tracking_lacks,
    "pdf": lambda patch: a_format_lacks(image_formats.PDF, patch),
    "heic": lambda patch: a_format_lacks(image_formats.HEIC, patch),
}


def advised_packages(name: str) -> tuple[tuple[str, ...], list[str]]:
    """The modules that something needs, and the distributions that its message names, for this very Python."""
    with pytest.MonkeyPatch.context() as patch:
        modules, call = LACKING[name](patch)
        with pytest.raises((RunError, PictureError)) as refused:
            call()
    python, packages = PIP.search(str(refused.value)).groups()
    assert ROOT / shlex.split(python)[0] == Path(sys.executable)
    return modules, packages.split()


@pytest.mark.parametrize("name", LACKING)
def test_the_packages_that_a_message_names_hold_the_modules_that_are_lacking(name):
    modules, packages = advised_packages(name)
    holders = metadata.packages_distributions()
    for module in filter(holders.__contains__, modules):
        assert {environment.canonical(holder) for holder in holders[module]} & set(packages), module


def test_pip_takes_what_a_message_names():
    named = [package for name in LACKING for package in advised_packages(name)[1]]
    there = [package for package in named if environment.metadata_version(package)]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", *there, "packaging"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("already satisfied") >= len(there) + 1


@pytest.mark.parametrize(
    ("active", "remedy"), [("conda", "pip install -r requirements.lock"), ("", "make env puts it back")]
)
def test_of_a_package_that_is_gone_the_doctor_says_what_puts_it_back_there(monkeypatch, active, remedy):
    """Make uses an active environment as it is, and installs into `.venv` alone."""
    monkeypatch.setattr(environment, "active", lambda: active)
    pins = {"no-such-package": "1.0", **environment.pins()}
    monkeypatch.setattr(environment, "pins", lambda: pins)
    (said,) = (text for _, text in doctor.look_at_lock() if "no-such-package" in text)
    assert said.endswith(remedy)
    assert (ROOT / "requirements.lock").is_file()


def test_who_names_the_folder_of_mnist_as_told_has_a_content_doctor(monkeypatch, mnist_dir, tmp_path):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setattr(doctor, "RAW", tmp_path)
    ((verdict, said),) = doctor.look_at_data()
    assert verdict == doctor.NOTE
    *_, command = commands(said)
    name, _, folder = command[-1].partition("=")
    assert (command[0], name, folder) == ("all", "MNIST_DIR", "folder")
    monkeypatch.setenv(name, str(mnist_dir))
    ((verdict, _),) = doctor.look_at_data()
    assert verdict == doctor.OK
