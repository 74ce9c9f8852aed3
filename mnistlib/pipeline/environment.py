"""Find or build the Python environment: `python environment.py` prints the interpreter to use.

Standard library alone: it runs before any package is installed.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
VENV = PROJECT / ".venv"
LOCK = PROJECT / "requirements.lock"
STAMP = VENV / "built-from"  # the hash of what .venv was built from, then the packages that this installed
OLDEST = (3, 11)
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}
FEWEST_FILES = 96  # that a stage must be able to open at once; it opens up to 80


def main() -> None:
    """Print the interpreter to use; exit with what to do where there is none."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; {sys.executable} is {sys.version.split()[0]}")
    if fault := too_few_files():
        sys.exit(fault)
    print(find())


def find() -> Path:
    """Return the interpreter of the active environment where that has all packages, else of `.venv`."""
    if named := active():
        lacking = unsatisfied()
        if not lacking:
            return Path(sys.executable)
        say(f"the active environment {named} lacks {', '.join(lacking)}: using .venv instead")
    python = VENV / "bin" / "python"
    if not is_current(python) or removed():
        with LOCK.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # another make may be building it just now
            if not is_current(python):
                build(python)
            elif lost := removed():
                say(f"putting back into .venv: {', '.join(lost)}")
                install(python, *lost)
    return python


def active() -> str:
    """Return the active environment that this Python belongs to; empty for none and for `.venv`."""
    here, named = Path(sys.prefix).resolve(), (os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    return next((name for name in named if name and Path(name).resolve() == here != VENV.resolve()), "")


def is_current(python: Path) -> bool:
    """Return whether `.venv` is whole and was built from this lock, by this Python, for this folder."""
    return python.exists() and STAMP.is_file() and STAMP.read_text(encoding="utf-8").split("\n")[0] == wanted()


def removed() -> list[str]:
    """Return the packages, as `name==version`, that `.venv` was built with and no longer has in any version."""
    there = versions(VENV.glob("lib/python*/site-packages"))
    return [pin for pin in STAMP.read_text(encoding="utf-8").split("\n")[1:] if pin.partition("==")[0] not in there]


def pins() -> dict[str, str]:
    """Return the versions by name that requirements.lock holds for this Python and system."""
    from packaging.requirements import Requirement

    lines = [Requirement(line) for line in LOCK.read_text(encoding="utf-8").splitlines() if line[:1] not in ("#", "")]
    return {line.name: str(line.specifier)[2:] for line in lines if line.marker is None or line.marker.evaluate()}


def wanted() -> str:
    """Return a hash of what `.venv` has to be built from."""
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode() + str(PROJECT).encode()).hexdigest()


def build(python: Path) -> None:
    """Make `.venv` from requirements.lock; the stamp comes last, so that an interrupted build is repeated."""
    if fault := hindrance():
        sys.exit(fault)
    STAMP.unlink(missing_ok=True)
    say("building .venv from requirements.lock (once; a minute or a few)")
    make_venv()
    install(python, "-r", str(LOCK))
    site = next(VENV.glob("lib/python*/site-packages"))
    (site / "mnistlib-project.pth").write_text(f"{PROJECT}\n", encoding="utf-8")
    built = [f"{name}=={version}" for name, version in sorted(versions([site]).items())]
    STAMP.write_text("\n".join([wanted(), *built]), encoding="utf-8")


def make_venv() -> None:
    """Make `.venv` with Python's venv; exit with the reason when that fails."""
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if not done.returncode:
        return
    say(done.stdout.strip())
    if "ensurepip is not" in " ".join(done.stdout.split()) or "No module named" in done.stdout:
        package = f"python{this_python()}-venv"
        sys.exit(f"Python's venv module is not complete here. On Debian or Ubuntu: apt install {package}")
    free = shutil.disk_usage(PROJECT).free / 1e9
    sys.exit(f"{VENV} could not be made (see above). The disk has {free:.1f} GB left, and .venv takes 2")


def hindrance() -> str:
    """Return why `.venv` cannot be built where the project lies, and what to do; empty when it can."""
    ways = "move the project, or activate an environment that has the packages of requirements.lock"
    if os.pathsep in str(VENV):
        return f"cannot build {VENV}: Python makes no environment in a folder with {os.pathsep!r} in its path; {ways}"
    for folder in (PROJECT, VENV):
        if folder.exists() and not os.access(folder, os.W_OK):
            return f"cannot write {folder}: it or its file system is read-only, or not yours; {ways}"
    return ""


def too_few_files() -> str:
    """Return what to do where this shell lets a program open fewer files than a stage needs; else empty."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most == resource.RLIM_INFINITY or most >= FEWEST_FILES:
        return ""
    text = f"this shell allows {most} open files (ulimit -n), and a stage needs {FEWEST_FILES}"
    return f"{text}: use a new terminal, or raise the limit (ulimit -n 1024; it may take an administrator)"


def install(python: Path, *what: str) -> None:
    """Install packages with uv, with pip where uv cannot be had; exit with what to do when both fail."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = shutil.which("uv") or shutil.which(python.with_name("uv"))
    if not uv and succeeds([*pip, "uv"]):
        uv = str(python.with_name("uv"))
    if uv and succeeds([uv, "pip", "install", "--quiet", "--python", str(python), *what], **uv_settings(python)):
        return
    if not succeeds([*pip, *what]):
        sys.exit(f"pip could not install {' '.join(what)} (see above). Is there a network? Run the command again.")


def succeeds(command: list[str], **settings: str) -> bool:
    """Run a command whose output goes to the terminal, not into what make reads; return whether it ended well."""
    return subprocess.run(command, stdout=sys.stderr, env={**settings, **os.environ}).returncode == 0


def uv_settings(python: Path) -> dict[str, str]:
    """Return pip's configuration as uv's variables: pip, and so uv, may have to take packages from a mirror or disk."""
    command = [str(python), "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip: the best version of all indexes
    for line in reversed(lines):  # the variables come first, and outdo the files
        name, _, value = line.partition("=")
        if uv_name := UV_NAMES.get(name.rpartition(".")[2]):
            values = str(ast.literal_eval(value)).split()
            settings[uv_name] = (" " if uv_name == "UV_INDEX" else ",").join(values)
    return settings


def unsatisfied() -> list[str]:
    """Return the requirements of pyproject.toml, those of tests too, that the running environment does not meet."""
    import tomllib

    try:
        from packaging.requirements import Requirement
    except ImportError:
        return ["packaging"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    found = versions(map(Path, reversed(sys.path)))
    return [line for line in lines if not met(Requirement(line), found)]


def met(requirement: Any, found: dict[str, str]) -> bool:
    """Return whether a package is installed in a version that fits."""
    version = found.get(canonical(requirement.name)) or metadata_version(requirement.name)
    return bool(version and requirement.specifier.contains(version, prereleases=True))


def metadata_version(name: str) -> str:
    """Return the version of a package that has no `.dist-info` folder; empty where it is not installed."""
    import importlib.metadata as metadata  # takes 0.05 s, which is felt in each command

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def versions(folders: Iterable[Path]) -> dict[str, str]:
    """Return versions by canonical name, from the names of folders in these: reading their metadata takes longer."""
    found = [path.name.removesuffix(".dist-info") for folder in folders for path in folder.glob("*.dist-info")]
    parted = (text.partition("-") for text in found)
    return {canonical(name): version.partition("+")[0] for name, _, version in parted}


def this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def say(text: str) -> None:
    """Print to the terminal, not into what make reads."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
