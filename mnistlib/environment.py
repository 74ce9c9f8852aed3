"""Find or build the Python environment. Standard library alone: it runs before anything is installed.

`python environment.py find` prints the interpreter to use, building `.venv` if need be;
`python environment.py lock` prints requirements.lock for the environment that runs it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata as metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
LOCK = PROJECT / "requirements.lock"
STAMP = VENV / "built-from"
ACCELERATOR = re.compile(r"^(nvidia-|cuda-|triton|pytorch-triton)")
NOT_LOCKED = {"pip", "setuptools", "wheel", "mnistlib"}


def main() -> None:
    """`find` or `lock`."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this runs under whatever python3 is
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}")
    if sys.argv[1:] == ["lock"]:
        print("# Made by: python mnistlib/environment.py lock > requirements.lock")
        print("\n".join(locked()))
    else:
        print(find())


def find() -> Path:
    """The interpreter of the active environment when it will do, else of `.venv`, built or repaired."""
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    if active and Path(active).resolve() != VENV and Path(sys.prefix).resolve() == Path(active).resolve():
        lacking = unsatisfied()
        if not lacking:
            return Path(sys.executable)
        say(f"the active environment {active} lacks {', '.join(lacking)}: using .venv instead")
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


def is_current(python: Path) -> bool:
    """Whether `.venv` is whole and was built from what it is to be built from."""
    return python.exists() and STAMP.is_file() and STAMP.read_text() == wanted()


def removed() -> list[str]:
    """Lines of requirements.lock whose package is no longer in `.venv`, in whatever version."""
    found = {canonical(path.name.partition("-")[0]) for path in VENV.glob("lib/python*/site-packages/*.dist-info")}
    return [f"{name}=={version}" for name, version in pins().items() if name not in found]


def pins() -> dict[str, str]:
    """What requirements.lock names: versions by canonical name."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def wanted() -> str:
    """What `.venv` is to be built from, as one hash."""
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode() + str(PROJECT).encode()).hexdigest()


def build(python: Path) -> None:
    """Make `.venv` from requirements.lock; the stamp comes last, so that half a build is done again."""
    STAMP.unlink(missing_ok=True)
    say("building .venv from requirements.lock (once; a minute or a few)")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, stdout=sys.stderr)
    except subprocess.CalledProcessError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(f"Python's venv module does not work here. On Debian or Ubuntu: apt install python{version}-venv")
    install(python, "-r", str(LOCK))
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([str(python), "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    (Path(site) / "mnistlib-project.pth").write_text(f"{PROJECT}\n", encoding="utf-8")
    STAMP.write_text(wanted(), encoding="utf-8")


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
    return [line for line in lines if not met(Requirement(line))]


def met(requirement: Any) -> bool:
    """Whether a distribution is installed in a version that fits."""
    try:
        return bool(requirement.specifier.contains(metadata.version(requirement.name), prereleases=True))
    except metadata.PackageNotFoundError:
        return False


def locked() -> list[str]:
    """`name==version` of everything installed but tools and torch's accelerator packages, sorted."""
    names = {canonical(d.metadata["Name"]): d.version.split("+")[0] for d in metadata.distributions()}
    return [f"{n}=={v}" for n, v in sorted(names.items()) if n not in NOT_LOCKED and not ACCELERATOR.match(n)]


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def say(text: str) -> None:
    """To the terminal, not into what make reads."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
