"""pyproject.toml, the lock and environment.yml agree; a missing Python or venv is said plainly."""

import importlib.util
import os
import re
import subprocess
import sys
import threading
import tomllib

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from mnistlib.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLDEST = PROJECT["requires-python"].removeprefix(">=")
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "nbconvert": "nbconvert-core",
    "jupyter-server": "jupyter_server",
}
FLOORS = {
    "torch": "2.6", "nbconvert": "7.17.1", "jupyter-server": "2.20", "jinja2": "3.1.6", "tqdm": "4.66.3",
    "pillow": "12.1.1", "jupyterlab": "4.4.8",
}  # fmt: skip


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, the tests' needs and further extras included."""
    lines = [line for extra in ("dev", *extras) for line in PROJECT["optional-dependencies"][extra]]
    return [Requirement(line) for line in [*PROJECT["dependencies"], *lines]]


def locked() -> dict[str, Version]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9A-Za-z.]+", line) for line in lines)
    return {name: Version(version) for name, version in (line.split("==") for line in lines)}


def test_the_lock_meets_every_requirement():
    for requirement in requirements("browser"):
        assert requirement.specifier.contains(locked()[requirement.name]), requirement


def holds(marker: Marker, extras: list[str]) -> bool:
    """Whether it holds for one of the extras, under the oldest Python: the lock is made for that."""
    return any(
        marker.evaluate({"extra": e, "python_version": OLDEST, "python_full_version": f"{OLDEST}.0"}) for e in extras
    )


def test_the_lock_is_complete_and_current():
    from importlib import metadata

    waiting, seen, asked = requirements("browser"), set(), set()
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if str(requirement) in asked or re.match(r"nvidia-|cuda-|triton|setuptools", name):
            continue
        seen.add(name)
        asked.add(str(requirement))
        assert name in locked(), f"{name} is not in requirements.lock"
        needed = [Requirement(line) for line in metadata.requires(name) or []]
        waiting += [r for r in needed if r.marker is None or holds(r.marker, ["", *requirement.extras])]
    extra = set(locked()) - seen
    assert not extra, f"not needed: {extra}"


def test_floors_for_known_vulnerabilities():
    by_name = {r.name: r for r in requirements()}
    for name, floor in FLOORS.items():
        (bound,) = [s for s in by_name[name].specifier if s.operator == ">="]
        assert Version(bound.version) >= Version(floor)


def test_environment_yml_is_in_step():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert content["name"] == "MNIST_NUM_DETECT"
    ours = {
        f"{CONDA_NAMES.get(r.name, r.name)}{','.join(sorted(str(r.specifier).split(','), reverse=True))}"
        for r in requirements()
    }
    assert set(content["dependencies"]) == ours | {f"python{PROJECT['requires-python']}", "make"}


def bare(tmp_path, *programs: str) -> dict[str, str]:
    """An environment whose PATH holds just these programs."""
    for name in programs:
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True).stdout.strip()
        (tmp_path / name).symlink_to(found)
    return {"PATH": str(tmp_path), "HOME": str(tmp_path)}


def test_without_a_python_make_says_so(tmp_path):
    environment = bare(tmp_path, "sh", "make", "sed")
    done = subprocess.run(["make", "-C", str(ROOT), "env"], env=environment, capture_output=True, text=True)
    assert done.returncode
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.fixture
def environment_module(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("environment_in_test", ROOT / "mnistlib" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"VENV": tmp_path / ".venv", "STAMP": tmp_path / ".venv" / "built-from"}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return module


def test_debians_missing_venv_names_its_package(environment_module, tmp_path):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho 'ensurepip is not available' >&2; exit 1\n")
    fake.chmod(0o755)
    environment_module.sys = type("S", (), {**vars(sys), "executable": str(fake)})
    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        environment_module.find()


def test_an_active_environment_that_satisfies_is_used_as_it_is(environment_module, monkeypatch, tmp_path):
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert str(environment_module.find()) == sys.executable
    assert not (tmp_path / ".venv").exists()


@pytest.mark.slow
def test_an_empty_lock_builds_once_and_is_repaired_when_half_done(environment_module, monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("")
    monkeypatch.setattr(environment_module, "LOCK", lock)
    python = environment_module.find()
    assert (
        subprocess.run([python, "-c", "import mnistlib"], cwd="/", env={**os.environ, "PYTHONPATH": ""}).returncode == 0
    )
    made = python.stat().st_ctime_ns
    marker = tmp_path / ".venv" / "mine"
    marker.write_text("")
    assert environment_module.find() == python
    assert marker.exists()
    assert python.stat().st_ctime_ns == made
    environment_module.STAMP.unlink()
    environment_module.find()
    assert not marker.exists()


@pytest.mark.slow
def test_a_removed_package_is_put_back_and_nothing_else_touched(environment_module, monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    pin = next(line for line in environment_module.LOCK.read_text().splitlines() if line.startswith("six=="))
    lock.write_text(f"# Made by hand\n{pin}\n")
    monkeypatch.setattr(environment_module, "LOCK", lock)
    python = environment_module.find()
    marker = tmp_path / ".venv" / "mine"
    marker.write_text("")
    subprocess.run([python, "-m", "pip", "uninstall", "--yes", "six"], check=True, capture_output=True)
    assert environment_module.removed() == [pin]
    environment_module.find()
    assert subprocess.run([python, "-c", "import six"]).returncode == 0
    assert marker.exists()


@pytest.mark.slow
def test_two_makes_at_once_build_it_once(environment_module, monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("")
    monkeypatch.setattr(environment_module, "LOCK", lock)
    built = []
    build = environment_module.build
    monkeypatch.setattr(environment_module, "build", lambda python: (built.append(python), build(python)))
    makes = [threading.Thread(target=environment_module.find) for _ in range(2)]
    for make in makes:
        make.start()
    for make in makes:
        make.join()
    assert len(built) == 1
    assert environment_module.STAMP.is_file()
