"""pyproject.toml, the lock and environment.yml agree; a missing Python or venv is said plainly."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mnistlib.core.files import ROOT
from mnistlib.pipeline import environment

TOLD = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOLD["project"]
OLDEST = PROJECT["requires-python"].removeprefix(">=")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "nbconvert": "nbconvert-core",
    "jupyter-server": "jupyter_server",
    "opencv-python-headless": "py-opencv",  # conda-forge's package answers to both names
}
FLOORS = {
    "torch": "2.10", "nbconvert": "7.17.1", "jupyter-server": "2.20", "jinja2": "3.1.6", "tqdm": "4.66.3",
    "pillow": "12.3", "jupyterlab": "4.6.2", "pytest": "9.0.3",
}  # fmt: skip


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, the tests' needs and further extras included."""
    lines = [line for extra in ("dev", *extras) for line in PROJECT["optional-dependencies"][extra]]
    return [Requirement(line) for line in [*PROJECT["dependencies"], *lines]]


def locked(python: str = THIS) -> dict[str, Version]:
    """What the lock pins for a Python, by name."""
    pins = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line[0] != "#"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9A-Za-z.]+", f"{pin.name}{pin.specifier}") for pin in pins)
    there = {"python_version": python, "python_full_version": f"{python}.9"}
    meant = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(there)]
    assert len({pin.name for pin in meant}) == len(meant)
    return {pin.name: Version(str(pin.specifier)[2:]) for pin in meant}


def test_the_lock_meets_every_requirement():
    for requirement in requirements("browser"):
        assert requirement.specifier.contains(locked()[requirement.name]), requirement


def holds(marker: Marker, extras: list[str], python: str) -> bool:
    """Whether it holds for one of the extras, under that Python."""
    return any(
        marker.evaluate({"extra": e, "python_version": python, "python_full_version": f"{python}.0"}) for e in extras
    )


def test_every_file_of_the_package_is_packed():
    packed = TOLD["tool"]["setuptools"]["package-data"]["mnistlib"]
    others = [path for path in (ROOT / "mnistlib").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert others
    found = {path for pattern in packed for path in (ROOT / "mnistlib").glob(pattern)}
    assert set(others) <= found


@pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="not built from the lock")
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_is_complete_and_current(python):
    """For the Pythons that the tests do not run under, as far as what is installed says what it would need there."""
    from importlib import metadata

    waiting, seen, asked, unknown = requirements("browser"), set(), set(), False
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if str(requirement) in asked or re.match(r"nvidia-|cuda-|triton|setuptools", name):
            continue
        seen.add(name)
        asked.add(str(requirement))
        assert name in locked(python), f"{name} is not in requirements.lock"
        try:
            needed = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            assert python != THIS, f"{name} is not installed"
            unknown = True
            continue
        waiting += [r for r in needed if r.marker is None or holds(r.marker, ["", *requirement.extras], python)]
    extra = set(locked(python)) - seen - {"setuptools"} - set(() if python == OLDEST else locked(OLDEST))
    assert unknown or not extra, f"not needed: {extra}"


def test_what_is_locked_installs_under_the_oldest_patch_of_the_oldest_python():
    """Debian 12's is 3.11.2; as far as what is installed says which Pythons it takes."""
    from importlib import metadata

    there = {d.metadata["Name"].lower().replace("_", "-"): d for d in metadata.distributions()}
    asked = {
        name: SpecifierSet(there[name].metadata.get("Requires-Python") or "")
        for name, version in locked(OLDEST).items()
        if name in there and Version(there[name].version.partition("+")[0]) == version
    }
    assert len(asked) > 50
    assert {name: str(versions) for name, versions in asked.items() if not versions.contains(f"{OLDEST}.0")} == {}


def test_the_lock_names_no_index_and_no_accelerator():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^(nvidia|cuda|triton)", text, re.MULTILINE)


def test_pins_are_those_of_the_running_python(environment_module, monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"# By hand\nboth==1\nother==2 ; python_version == '2.7'\nthis==3 ; python_version == '{THIS}'\n")
    monkeypatch.setattr(environment_module, "LOCK", lock)
    assert environment_module.pins() == {"both": "1", "this": "3"}


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
    spec = importlib.util.spec_from_file_location(
        "environment_in_test", ROOT / "mnistlib" / "pipeline" / "environment.py"
    )
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


def test_a_venv_that_fails_otherwise_says_its_own_words_and_blames_no_package(environment_module, tmp_path, capfd):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho 'Error: no room for it' >&2; exit 1\n")
    fake.chmod(0o755)
    environment_module.sys = type("S", (), {**vars(sys), "executable": str(fake)})
    with pytest.raises(SystemExit, match=r"\.venv could not be made \(see above\)\. The disk has .* GB left") as caught:
        environment_module.find()
    assert "apt install" not in str(caught.value)
    assert "Error: no room for it" in capfd.readouterr().err


def test_a_colon_in_the_projects_path_is_named(environment_module, tmp_path, monkeypatch):
    monkeypatch.setattr(environment_module, "VENV", tmp_path / "a:b" / ".venv")
    with pytest.raises(SystemExit, match=r"a:b/\.venv: .* with ':' in its path; move the project, or activate"):
        environment_module.find()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts read-only, as Linux lets one")
@pytest.mark.parametrize("left", ["nothing", "an environment of an older lock"])
def test_a_project_on_a_read_only_disk_is_named(project, left):
    if left != "nothing":
        (project.folder / ".venv").mkdir()
        (project.folder / ".venv" / "built-from").write_text("")
    outside = f'cd / && cd "$OLDPWD" && env -u VIRTUAL_ENV PATH="{Path(sys.base_prefix) / "bin"}:$PATH" make'
    script = f"mount --bind . . && mount -o remount,ro,bind . && {outside} env; {outside} doctor"
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    environment = project.environment(VIRTUAL_ENV="")
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr.strip()}")
    assert f"cannot write {project.folder}: it or its file system is read-only" in done.stderr
    assert re.search(r"^wrong packages +cannot write", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert "apt install" not in done.stderr


@pytest.mark.parametrize("named", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_that_satisfies_is_used_as_it_is(environment_module, monkeypatch, tmp_path, named):
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "left behind"))
    monkeypatch.setenv(named, sys.prefix)
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
    assert environment_module.removed() == [pin.partition(" ")[0]]
    environment_module.find()
    assert subprocess.run([python, "-c", "import six"]).returncode == 0
    assert marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_packages_come_from_where_pip_is_configured_to_look(environment_module, monkeypatch, tmp_path, installer):
    """By uv, or by pip where neither PATH nor the index has uv: an index on disk with one package and nothing else."""
    index = tmp_path / "index"
    (index / "lonely").mkdir(parents=True)
    name = "lonely-1.0-py3-none-any.whl"
    (index / "lonely" / "index.html").write_text(f'<a href="{name}">{name}</a>')
    with zipfile.ZipFile(index / "lonely" / name, "w") as wheel:
        wheel.writestr("lonely.py", "")
        wheel.writestr("lonely-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lonely\nVersion: 1.0\n")
        wheel.writestr("lonely-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lonely-1.0.dist-info/RECORD", "")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.as_uri()}\n")
    (tmp_path / "requirements.lock").write_text("lonely==1.0\n")
    uv = shutil.which("uv") or shutil.which(Path(sys.executable).with_name("uv"))
    if installer == "uv" and not uv:
        pytest.skip("uv is not installed")
    monkeypatch.setattr(environment_module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setenv("PATH", str(Path(uv).parent) if installer == "uv" else "/nowhere")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    environment_module.find()
    (there,) = (tmp_path / ".venv").glob("lib/*/site-packages/lonely-1.0.dist-info/INSTALLER")
    assert there.read_text().strip() == installer


@pytest.mark.parametrize("file", ["extra-index-url = a\n  b", "extra-index-url = a b\nfind-links = elsewhere"])
def test_pips_configuration_becomes_uvs(environment_module, monkeypatch, tmp_path, file):
    (tmp_path / "pip.conf").write_text(f"[global]\n{file}\n")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "one two")
    settings = environment_module.uv_settings(Path(sys.executable))
    assert settings["UV_INDEX"] == "a b"
    assert settings["UV_FIND_LINKS"] == "one,two"


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


def test_a_distribution_counts_by_its_folder_or_by_what_it_says_of_itself(monkeypatch, tmp_path):
    (tmp_path / "Some_Thing-2.1.dist-info").mkdir()
    (tmp_path / "old_one.egg-info").mkdir()
    (tmp_path / "old_one.egg-info" / "PKG-INFO").write_text("Name: old-one\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = environment.versions(map(Path, sys.path))
    told = {line: environment.met(Requirement(line), found) for line in ("some-thing>=2", "old-one<2", "pytest>=7")}
    assert all(told.values()), told
    told = {line: environment.met(Requirement(line), found) for line in ("some-thing>=3", "old-one>2", "no-such-thing")}
    assert not any(told.values()), told
