"""Repeat a run from its receipt and compare the results: `make verify RUN=…`.

Exit codes: 0 all identical or within tolerance; 1 something differs; 2 refused, nothing was executed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from mnistlib.core import config
from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, shown, write_text
from mnistlib.core.formatting import Table
from mnistlib.core.log import TAKEN_AWAY, chosen_level, say
from mnistlib.core.system_info import SETTINGS
from mnistlib.pipeline.plan import named_pictures
from mnistlib.reporting.runs_table import write_runs_table_page
from mnistlib.runs import layout
from mnistlib.runs.fingerprint import code_version
from mnistlib.runs.layout import RAW, Run, check_own_files
from mnistlib.runs.receipt import Receipt, load_receipt
from mnistlib.runs.reproducibility import DIFFERENT, IDENTICAL, WITHIN, Cause, Line, judge
from mnistlib.runs.stages import STAGE

NOT_PASSED_ON = {"PARAMS", "SET", "INPUT", "RUN", "A", "B", "TRACKING", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEFILES"}


def verify_run(name: str) -> int:
    """Verify the run of that name.

    Returns:
        The exit code: 0 when everything agrees, 1 when something differs, 2 without a name.

    Raises:
        RunError: the run cannot be repeated here; nothing was executed.
    """
    if not name:
        print("which run? make verify RUN=name", file=sys.stderr)
        return 2
    chosen_level()  # else the make below refuses it, and that would look like a run that cannot be made again
    run = Run(name)
    check_own_files(run)
    kept = load_receipt(run).model_copy(update={"run": name})  # what is advised names this run, not what a file says
    kept = kept.model_copy(update={"parameters": parameters_again(kept)})
    settings = environment(kept)
    return verify(run, kept, temporary_run(f"{name}-verify"), settings)


def temporary_run(name: str) -> Run:
    """Create the folder of a new run with a unique name that begins with `name`."""
    layout.RUNS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name[:80]}-", dir=layout.RUNS))
    folder.chmod(0o755)
    return Run(folder.name)


def verify(run: Run, kept: Receipt, again: Run, settings: dict[str, str]) -> int:
    """Execute into `again`, compare and print; delete `again` unless something differs. Return the exit code."""
    keep = False
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        failed = execute(run, kept, again, settings)
        keep = bool(failed)
        if failed:
            say(f"\n{failed}: the run cannot be made again here. What was made lies in {shown(again.folder)}")
            return 1
        lines, causes = judge(kept, load_receipt(again))
        lines += written_to(run, kept)
        write_text(run.verification, f"{Table([vars(line) for line in lines])}\n")
        keep = any(line.verdict == DIFFERENT for line in lines)
        say(summary(run, kept, lines, causes))
        if keep:
            say(f"made again: {shown(again.folder)} (make clean RUN={again.name} deletes it)")
        return int(keep)
    finally:
        if not keep:
            shutil.rmtree(again.folder, ignore_errors=True)
            write_runs_table_page()


def environment(kept: Receipt) -> dict[str, str]:
    """Return this process's environment, with the receipt's settings where none are set here, and its dataset's folder.

    Raises RunError when the dataset or the pictures of INPUT are not there.
    """
    passed = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    passed = {**settings_again(kept), **passed, TAKEN_AWAY: "yes"}
    if pictures := kept.parameters["infer"]["input"]:
        named_pictures(pictures)
    if kept.data.source == "local" and not passed.get("MNIST_DIR") and not kept.parameters["data"]["local_dir"]:
        if not (ROOT / kept.data.folder).is_dir() and not (RAW / kept.data.dataset).is_dir():
            raise RunError(
                f"runs/{kept.run} read {kept.data.dataset} from {kept.data.folder}, which is not there: "
                f"MNIST_DIR=folder make verify RUN={kept.run}"
            )
        passed["MNIST_DIR"] = str(ROOT / kept.data.folder)
    return passed


def settings_again(kept: Receipt) -> dict[str, str]:
    """Return the receipt's settings of threads and instructions, and say which they are; others are not taken over."""
    recorded: dict[str, str] = next(iter(kept.machines), {}).get("settings", {})
    taken = {name: text for name, text in recorded.items() if re.fullmatch(SETTINGS.get(name, "(?!)"), text)}
    refused = [name for name in recorded if name not in taken]
    if taken:
        say(f"settings from the receipt: {', '.join(f'{name}={text}' for name, text in taken.items())}")
    if refused:
        say(f"settings in the receipt that are not used: {', '.join(map(repr, refused))}")
    return taken


def parameters_again(kept: Receipt) -> dict[str, object]:
    """Return the receipt's parameters; a run on the fallback dataset is repeated on the fallback dataset.

    Raises RunError when the receipt lacks some, or this code knows others.
    """
    source = {"data": {"source": "digits"}} if kept.data.fallback else {}
    default = config.load_file(config.profile_path(config.DEFAULT))
    again = config.overlay(kept.parameters, source)
    try:
        config.check(config.overlay(default, again), f"runs/{kept.run}/receipt.json")
        lacking = [name for name in config.flatten(default) if name not in config.flatten(again)]
        if lacking:
            raise RunError(f"runs/{kept.run}/receipt.json does not say what {lacking[0]} was ({len(lacking)} missing)")
    except RunError as error:
        commits = ", ".join(sorted({stage.commit for stage in kept.stages.values()} - {""})) or "an unknown commit"
        here = code_version() or "without git"
        raise RunError(
            f"{error}\nThe receipt is of the code {commits}, this is {here}: check that out first"
        ) from error
    return again


def execute(run: Run, kept: Receipt, again: Run, settings: dict[str, str]) -> str:
    """Make the receipt's stages in the run `again`; returns the first that failed, or nothing."""
    write_text(again.params(), config.dump_yaml(kept.parameters))
    if run.drawings.is_dir():
        shutil.copytree(run.drawings, again.drawings)
    stages = list(kept.stages)
    goals = last_goals(stages)
    say(f"runs/{run.name} again, from its receipt of {kept.written}, as {shown(again.folder)}")
    make = os.environ.get("MAKE_COMMAND") or "make"
    process = subprocess.Popen([make, *goals, f"RUN={again.name}"], cwd=ROOT, env=settings)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    made = load_receipt(again).stages if again.receipt.is_file() else {}
    missing = [stage for stage in stages if stage not in made]
    return f"{missing[0] if missing else goals[-1]} failed" if code or missing else ""


def last_goals(stages: list[str]) -> list[str]:
    """What to ask make for so that it makes these: the goals of those that no other of them needs."""
    return [STAGE[last].section for last in stages if not any(last in STAGE[stage].needs for stage in stages)]


def written_to(run: Run, kept: Receipt) -> list[Line]:
    """The run's own files that are there and no longer what the receipt says."""
    kept_as = {name: (artifact.stage, artifact.sha256) for name, artifact in kept.artifacts.items()}
    stems = {name: Path(name).stem for name in kept.pages}
    pages = {name: (stem if stem in STAGE else "pages", kept.pages[name]) for name, stem in stems.items()}
    return [
        Line(stage, name, DIFFERENT, said[:12], digest[:12], "written to since the receipt")
        for name, (stage, said) in (kept_as | pages).items()
        if (run.folder / name).is_file() and (digest := file_digest(run.folder / name)) != said
    ]


def summary(run: Run, kept: Receipt, lines: list[Line], causes: list[Cause]) -> str:
    """What the terminal says: counts by stage, what is different, and what differs between then and now."""
    counts = {stage: Counter(line.verdict for line in lines if line.stage == stage) for stage in kept.stages}
    rows = [{"stage": s, **{v: counts[s][v] for v in (IDENTICAL, WITHIN, DIFFERENT)}} for s in kept.stages]
    said = [str(Table(rows))]
    odd = [line for line in lines if line.verdict == DIFFERENT]
    said += [f"different: {line.name} ({line.stage}): {line.then} → {line.now}; {line.why}" for line in odd]
    if causes:
        said += ["then → now:", *(f"  {cause}" for cause in causes)]
    found = {line.verdict for line in lines}
    verdict = next(v for v in (DIFFERENT, WITHIN, IDENTICAL) if v in found)
    return "\n".join(["", *said, "", f"runs/{run.name}: {verdict}; every line in {shown(run.verification)}"])
