"""Check what this machine has and lacks, and say what to do: `make doctor`.

Standard library alone, and each check on its own: it must still work where nothing else does.
Exit codes: 0 all that is needed is there; 1 something needed is wrong.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from mnistlib.core import system_info
from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.pipeline import environment
from mnistlib.runs.layout import RAW, RUNS

OK, NOTE, WRONG = "ok", "note", "wrong"
NEEDED = {"Python", "shell", "packages", "runs"}
LEAST_FREE, LEAST_MEMORY = 1e9, 2e9
Said = tuple[str, str]


def main() -> int:
    """Run every check and print a line for each; return the exit code."""
    use_built_environment()
    found: list[tuple[str, Said]] = []
    for name, look in LOOKS.items():
        try:
            found += [(name, said) for said in look()]
        except Exception as error:
            verdict = WRONG if name in NEEDED else NOTE
            found.append((name, (verdict, f"could not look: {type(error).__name__}: {error}")))
    for name, (verdict, text) in found:
        print(f"{verdict:<6}{name:<11}" + text.replace("\n", "\n" + " " * 17))
    wrong = [name for name, (verdict, _) in found if verdict == WRONG]
    print(f"\nwrong: {', '.join(wrong)}" if wrong else "\nready: make all")
    return int(bool(wrong))


def use_built_environment() -> None:
    """Become the Python of `.venv` where make would use that and it starts."""
    python = environment.VENV / "bin" / "python"
    in_it = Path(sys.prefix).resolve() == environment.VENV.resolve()
    if environment.active() or in_it or not system_info.command_output(str(python), "-V"):
        return
    os.execv(python, [str(python), "-m", "mnistlib.pipeline.doctor"])  # noqa: S606


def look_at_python() -> Iterator[Said]:
    """Check the version of Python."""
    version = f"{sys.version.split()[0]} ({sys.executable})"
    new_enough = sys.version_info >= (3, 11)
    yield (OK, version) if new_enough else (WRONG, f"{version}: 3.11 or newer is needed; install it and run make again")


def look_at_shell() -> Iterator[Said]:
    """Check the limit on open files, and name the variables that make ignores."""
    fault = environment.too_few_files()
    yield (WRONG, fault) if fault else (OK, "the limit on open files (ulimit -n) is high enough")
    if ignored := os.environ.get("IGNORED", "").split():
        yield NOTE, f"make ignores {', '.join(ignored)}: they would lead Python or pip elsewhere"


def look_at_packages() -> Iterator[Said]:
    """Check for the packages of pyproject.toml and requirements.lock."""
    built = environment.VENV / "bin" / "python"
    if not environment.active() and Path(sys.prefix).resolve() != environment.VENV.resolve():
        broken, fault = environment.VENV.exists(), environment.hindrance()
        text = ".venv is broken: make env mends it" if broken else ".venv is not built yet: make all and make env do"
        yield (WRONG if broken or fault else NOTE), fault or text
        return
    lacking = environment.unsatisfied()
    if environment.active() and lacking and built.exists():
        yield NOTE, f"the active environment lacks {', '.join(lacking)}: make uses .venv instead"
    elif lacking:
        elsewhere = "pip install -r requirements.lock, or deactivate it: make builds .venv"
        here = "make env puts back what is gone; for what is too old, rm -r .venv first"
        remedy = elsewhere if environment.active() else here
        yield WRONG, f"lacking or too old: {', '.join(lacking)}: {remedy}"
    else:
        yield OK, f"all that pyproject.toml asks for, in {sys.prefix}"
    if not environment.active() and not environment.is_current(built):
        yield NOTE, "requirements.lock is not what .venv was built from: make env, or the next make, builds it again"
    if "packaging" not in lacking:
        yield from look_at_lock()


def look_at_lock() -> Iterator[Said]:
    """Compare installed versions with those that the results were measured with."""
    locked = environment.pins()
    there = environment.versions(map(Path, reversed(sys.path)))
    missing = [name for name in locked if name not in there and not environment.metadata_version(name)]
    others = [f"{n} {there[n]} for {v}" for n, v in locked.items() if n in there and there[n] != v]
    if missing:
        active = environment.active()  # which make uses as it is, and never installs into
        remedy = "pip install -r requirements.lock" if active else "make env puts it back"
        yield NOTE if active else WRONG, f"not there, of requirements.lock: {few(missing)}: {remedy}"
    if others:
        yield NOTE, f"other versions than requirements.lock: {few(others)}: results may differ in their last digits"


def look_at_processor() -> Iterator[Said]:
    """Check for the instructions that make training fast and determine its rounding."""
    fast = system_info.fast_features()
    text = f"{system_info.processor()}, {system_info.cores()} cores, {', '.join(fast) or 'neither AVX-512 nor bf16'}"
    rounded = any("bf16" in name for name in fast)
    yield OK, text + ("" if rounded else ": trains in fp32, which is slower and gives other last digits")
    memory = system_info.memory()
    if memory and memory < LEAST_MEMORY:
        yield NOTE, f"{memory / 1e9:.1f} GB of memory; a kernel takes up to 0.7: make all without -j"


def look_at_gpu() -> Iterator[Said]:
    """Optional: training takes it when torch does."""
    yield (OK, system_info.gpu()) if system_info.gpu() else (NOTE, "none; the CPU will do")


def look_at_runs() -> Iterator[Said]:
    """Check that runs/ can be written to, and the room on its disk."""
    place = next(folder for folder in (RUNS, *RUNS.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            yield OK, f"{shown(RUNS)}/ can be written to"
    except OSError as error:
        yield WRONG, f"cannot write in {shown(place)}: {error.strerror}. Give yourself the right to (chmod, chown)"
    free = shutil.disk_usage(place).free
    room = f"{free / 1e9:.1f} GB free there"
    yield (OK, room) if free > LEAST_FREE else (WRONG, f"{room}; a run takes 0.1, .venv 2: make clean RUN=… frees room")


def look_at_data() -> Iterator[Said]:
    """Check where `make all` would take MNIST from, and the checksums of its files."""
    try:
        from mnistlib.data import loading, locations
    except ImportError as error:
        yield NOTE, f"not looked at: {error}; the packages come first"
        return
    kept = RAW / "mnist"
    try:
        if locations.complete(kept):
            loading.read_folder("mnist", "raw", kept)
            yield OK, f"MNIST from {shown(kept)}, its checksums hold"
        elif (folder := locations.local_folder("")) is not None:
            loading.read_folder("mnist", "local", locations.checked_folder(folder))
            yield OK, f"MNIST from MNIST_DIR, {folder}, its checksums hold"
        else:
            advice = "falls back to 1,797 digits. To be sure: MNIST_DIR=folder make all"
            yield NOTE, f"no MNIST here: make all asks torchvision's mirrors and, without a network,\n{advice}"
    except RunError as error:
        yield WRONG, str(error)


def look_at_browser() -> Iterator[Said]:
    """Optional: only tests of the pad drive one."""
    path = system_info.browser()
    driven = bool(environment.metadata_version("playwright"))
    if path and driven:
        yield OK, f"{path} with playwright"
    else:
        lacking = [] if path else ["chromium"]
        lacking += [] if driven else [system_info.pip_install("playwright")]
        yield NOTE, f"tests of the pad are skipped without {' and '.join(lacking)}; nothing else needs it"


def look_at_fonts() -> Iterator[Said]:
    """Optional: letters, as outliers, are drawn in the machine's fonts."""
    count = len(system_info.fonts())
    text = f"{count} besides matplotlib's own"
    yield (OK, text) if count else (NOTE, f"{text}: letters are drawn in fewer styles (apt install fonts-liberation)")


def few(names: list[str], most: int = 6) -> str:
    """Return the first of many names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


LOOKS: dict[str, Callable[[], Iterator[Said]]] = {
    "Python": look_at_python,
    "shell": look_at_shell,
    "packages": look_at_packages,
    "processor": look_at_processor,
    "GPU": look_at_gpu,
    "runs": look_at_runs,
    "data": look_at_data,
    "browser": look_at_browser,
    "fonts": look_at_fonts,
}

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
