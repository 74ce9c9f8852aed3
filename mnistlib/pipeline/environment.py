"""Find or build the Python environment. Standard library alone: it runs before anything is installed.

`python environment.py find` prints the interpreter to use, building `.venv` if need be;
`python environment.py lock` writes requirements.lock from the environment that runs it: of the oldest Python anew,
of a newer one the lines besides that only its Python needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
VENV = PROJECT / ".venv"
LOCK = PROJECT / "requirements.lock"
STAMP = VENV / "built-from"
OLDEST = (3, 11)
PIN = re.compile(r'([a-z0-9-]+)==([^ ]+)(?: ; python_version == "([0-9.]+)")?')
ACCELERATOR = re.compile(r"^(nvidia-|cuda-|triton|pytorch-triton)")
NOT_LOCKED = {"pip", "setuptools", "wheel", "mnistlib"}
FEWEST_FILES = 96  # that a stage must be able to open at once; it opens up to 80


def main() -> None:
    """`find` or `lock`."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; {sys.executable} is {sys.version.split()[0]}")
    if sys.argv[1:] == ["lock"]:
        LOCK.write_text("\n".join(locked(LOCK.read_text(encoding="utf-8"))) + "\n", encoding="utf-8")
    elif fault := too_few_files():
        sys.exit(fault)
    else:
        print(find())


def find() -> Path:
    """The interpreter of the active environment when it will do, else of `.venv`, built or repaired."""
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
    """The active environment where this Python is its, and it is another than `.venv`; else nothing."""
    here, named = Path(sys.prefix).resolve(), (os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    return next((name for name in named if name and Path(name).resolve() == here != VENV.resolve()), "")


def is_current(python: Path) -> bool:
    """Whether `.venv` is whole and was built from what it is to be built from."""
    return python.exists() and STAMP.is_file() and STAMP.read_text() == wanted()


def removed() -> list[str]:
    """Lines of requirements.lock whose package is no longer in `.venv`, in whatever version."""
    found = {canonical(path.name.partition("-")[0]) for path in VENV.glob("lib/python*/site-packages/*.dist-info")}
    return [f"{name}=={version}" for name, version in pins().items() if name not in found]


def pins() -> dict[str, str]:
    """What requirements.lock names for this Python: versions by canonical name."""
    found = [pin.groups() for line in LOCK.read_text(encoding="utf-8").splitlines() if (pin := PIN.fullmatch(line))]
    return {name: version for name, version, python in found if python in (None, this_python())}


def wanted() -> str:
    """What `.venv` is to be built from, as one hash."""
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode() + str(PROJECT).encode()).hexdigest()


def build(python: Path) -> None:
    """Make `.venv` from requirements.lock; the stamp comes last, so that half a build is done again."""
    if fault := hindrance():
        sys.exit(fault)
    STAMP.unlink(missing_ok=True)
    say("building .venv from requirements.lock (once; a minute or a few)")
    make_venv()
    install(python, "-r", str(LOCK))
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([str(python), "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    (Path(site) / "mnistlib-project.pth").write_text(f"{PROJECT}\n", encoding="utf-8")
    STAMP.write_text(wanted(), encoding="utf-8")


def make_venv() -> None:
    """Have Python make `.venv`; exits with the reason when it cannot."""
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
    """Have pip install it; exits in words when it cannot."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    if subprocess.run(command, stdout=sys.stderr).returncode:
        sys.exit(f"pip could not install {' '.join(what)} (see above). Is there a network? Run the command again.")


def unsatisfied() -> list[str]:
    """Requirements of pyproject.toml, tests' included, that the running environment does not meet."""
    import tomllib

    try:
        from packaging.requirements import Requirement
    except ImportError:
        return ["packaging"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    found = versions()
    return [line for line in lines if not met(Requirement(line), found)]


def met(requirement: Any, found: dict[str, str]) -> bool:
    """Whether a distribution is installed in a version that fits."""
    version = found.get(canonical(requirement.name)) or told_version(requirement.name)
    return bool(version and requirement.specifier.contains(version, prereleases=True))


def told_version(name: str) -> str:
    """The version of a distribution that has no `.dist-info` folder; empty where it is not installed."""
    import importlib.metadata as metadata  # takes 0.05 s, which is felt in each command

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def versions() -> dict[str, str]:
    """Versions of what is installed, by canonical name, from the names of its folders: reading each takes longer."""
    folders = [path for place in reversed(sys.path) for path in Path(place).glob("*.dist-info")]
    parted = [path.name.removesuffix(".dist-info").partition("-") for path in folders]
    return {canonical(name): version for name, _, version in parted}


def locked(before: str) -> list[str]:
    """The lock's lines: `name==version` of everything installed but tools and torch's accelerator packages, sorted.

    Under a newer Python than the oldest the lines of `before` stay, and what they lack is added for that Python alone.
    """
    here = f' ; python_version == "{this_python()}"'
    kept = [line for line in before.splitlines() if PIN.fullmatch(line) and not line.endswith(here)]
    if sys.version_info[:2] == OLDEST:
        kept, here = [], ""
    known = {line.partition("==")[0] for line in kept if ";" not in line}
    there = installed()
    wanting = [name for name in there if name not in known | NOT_LOCKED and not ACCELERATOR.match(name)]
    lines = kept + [f"{name}=={there[name]}{here}" for name in wanting]
    made = "# Made by: python mnistlib/pipeline/environment.py lock, under the oldest Python, then under each newer one"
    return [made, *sorted(lines, key=lambda line: line.partition("==")[0])]


def installed() -> dict[str, str]:
    """Versions of all that this environment holds, without their builds, by canonical name."""
    import importlib.metadata as metadata

    return {canonical(d.metadata["Name"]): d.version.split("+")[0] for d in metadata.distributions()}


def this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def say(text: str) -> None:
    """To the terminal, not into what make reads."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
