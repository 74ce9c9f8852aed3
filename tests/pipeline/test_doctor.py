"""make doctor: a line for each thing, with what to do where one is wrong; it speaks even where little else works."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from mnistlib.core import system_info

NAMES = {"Python", "shell", "packages", "processor", "GPU", "runs", "data", "browser", "fonts"}


def lines(text: str) -> dict[str, list[tuple[str, str]]]:
    """Verdict and text of each line by what it is about."""
    found: dict[str, list[tuple[str, str]]] = {}
    for verdict, name, told in re.findall(r"^(ok|note|wrong) +(\S+) +(.+)$", text, re.MULTILINE):
        found.setdefault(name, []).append((verdict, told))
    return found


def test_this_machine_is_ready_and_every_line_is_there(project):
    done = project.make("doctor")
    found = lines(done.text)
    assert set(found) == NAMES
    assert found["Python"] == [("ok", f"{sys.version.split()[0]} ({Path(sys.prefix) / 'bin' / 'python3'})")]
    assert "could not look" not in done.text
    assert {verdict for said in found.values() for verdict, _ in said} <= {"ok", "note"}
    assert "MNIST_DIR=folder" in done.text
    assert done.code == 0
    assert not (project.folder / "runs").exists()


def test_what_make_ignores_is_named(project):
    assert len(lines(project.make("doctor").text)["shell"]) == 1
    done = project.make("doctor", PYTHONPATH="/opt/other", PYTHONSAFEPATH="1", PIP_USER="1")
    assert done.code == 0
    verdict, text = lines(done.text)["shell"][1]
    assert verdict == "note"
    assert text.startswith("make ignores PYTHONPATH, PYTHONSAFEPATH, PIP_USER:")


def test_too_low_a_limit_on_open_files_is_wrong(project):
    settings = {**project.settings((), {}), "args": ["sh", "-c", "ulimit -n 40; exec make doctor"]}
    done = subprocess.run(**settings, stdout=subprocess.PIPE)
    assert done.returncode
    assert lines(done.stdout)["shell"][0][0] == "wrong"
    assert "wrong: shell" in done.stdout


def test_a_package_that_is_missing_or_too_old_is_named(project):
    lock, wanted = project.folder / "requirements.lock", project.folder / "pyproject.toml"
    lock.write_text("no-such-package==1.0\nnumpy==0.1\n")
    done = project.make("doctor")
    assert done.code == 0
    notes = [text for verdict, text in lines(done.text)["packages"] if verdict == "note"]
    assert any("no-such-package: pip install -r requirements.lock" in text for text in notes)
    assert any(re.search(r"numpy \S+ for 0.1", text) for text in notes)
    wanted.write_text(wanted.read_text().replace('"numpy>=1.26"', '"numpy>=99"'))
    done = project.make("doctor")
    assert done.code != 0
    verdict, text = lines(done.text)["packages"][0]
    assert verdict == "wrong"
    assert text.startswith("lacking or too old: numpy>=99: pip install -r requirements.lock")
    assert "wrong: packages" in done.text


def test_what_cannot_be_looked_at_is_said_and_the_rest_goes_on(project):
    (project.folder / "pyproject.toml").write_text("[project")
    done = project.make("doctor")
    assert done.code != 0
    ((verdict, text),) = lines(done.text)["packages"]
    assert (verdict, text.split(":")[:2]) == ("wrong", ["could not look", " TOMLDecodeError"])
    assert set(lines(done.text)) == NAMES


def test_runs_that_cannot_be_written_to_is_wrong(project):
    (project.folder / "runs").write_text("a file where the folder should be")
    done = project.make("doctor")
    assert done.code != 0
    verdict, text = lines(done.text)["runs"][0]
    assert verdict == "wrong"
    assert "cannot write in runs: Not a directory" in text


def test_files_that_are_not_mnist_are_wrong_and_named(project, tmp_path):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").write_bytes(b"no digits")
    done = project.make("doctor", MNIST_DIR=str(tmp_path))
    assert done.code != 0
    assert lines(done.text)["data"][0][0] == "wrong"
    assert "train-images-idx3-ubyte" in done.text
    assert "Traceback" not in done.text


def test_a_home_folder_that_nobody_has_is_wrong_and_named(project):
    done = project.make("doctor", MNIST_DIR="~nosuchuser/x")
    assert done.code != 0
    ((verdict, text),) = lines(done.text)["data"]
    assert verdict == "wrong"
    assert "'~nosuchuser/x'" in text


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """An environment with nothing in it, as whoever is without the packages has."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder


def test_it_speaks_without_any_package(project, empty):
    environment = {**os.environ, "VIRTUAL_ENV": str(empty), "PATH": f"{empty / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("MNIST_DIR", None)
    done = subprocess.run(["make", "doctor"], cwd=project.folder, env=environment, capture_output=True, text=True)
    found = lines(done.stdout)
    assert set(found) == NAMES, done.stdout + done.stderr
    assert found["packages"][0][0] == "wrong"
    assert "pip install -r requirements.lock" in found["packages"][0][1]
    assert found["data"] == [("note", "not looked at: No module named 'numpy'; the packages come first")]
    assert done.returncode


def test_a_venv_whose_python_is_gone_is_said_to_be_broken(project, empty):
    (project.folder / ".venv" / "bin").mkdir(parents=True)
    (project.folder / ".venv" / "bin" / "python").symlink_to("/no/such/python")
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX", "MNIST_DIR")}
    done = subprocess.run(["make", "doctor"], cwd=project.folder, env=environment, capture_output=True, text=True)
    assert lines(done.stdout)["packages"] == [("wrong", ".venv is broken: make env mends it")]
    assert done.returncode


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says")
def test_the_processor_is_described_as_torch_sees_it():
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    has = system_info.features()
    if capability == "AVX512":
        assert {"avx2", "avx512f"} <= set(has)
    if capability == "DEFAULT":
        assert "avx2" not in has
    assert ("avx512_bf16" in has) == torch.cpu._is_avx512_bf16_supported()
    assert system_info.cores() <= os.cpu_count()
    assert system_info.versions()["torch"] == torch.__version__
