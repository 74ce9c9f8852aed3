"""The light step before make: parameters and fingerprints into small files, rewritten only on change.

Called by the Makefile with its settings in the environment (GOAL, PARAMS, RUN, SET, INPUT);
it then becomes the make that executes what those files say is out of date.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from mnistlib import params, source
from mnistlib.artifacts import missing, traces
from mnistlib.datafolders import better_source_exists, is_where_it_was, lies_here
from mnistlib.files import RunError, in_words, listing_digest, read_json, sweep, write_text
from mnistlib.given import check_still_there, input_digest, kept_input, named_pictures
from mnistlib.lock import hold
from mnistlib.log import chosen_level
from mnistlib.machine import threads
from mnistlib.modelfile import check_made_by_make, is_taught
from mnistlib.rundir import HANDWRITING, Run, leftovers, make_writable, nearest, overview_page
from mnistlib.schema import Params
from mnistlib.stages import STAGE, STAGES, Stage, asked_to_run_nothing, runs_side_by_side
from mnistlib.status import read_status


@in_words("nothing begun")
def main() -> int:
    """Resolve, then become make. Exit code 2 when a setting is wrong; nothing is touched then."""
    setting = os.environ.get
    if flag := asked_to_run_nothing():
        text = "cannot tell what would run: parameters and fingerprints would have to be written first"
        raise RunError(f"make -{flag} {text}. Nothing done; without -{flag}, make runs just what is out of date")
    chosen_level()
    if setting("TRACKING"):
        from mnistlib.tracking import check_tracking  # only who tracks waits for it

        check_tracking(setting("TRACKING", ""))
    goal = setting("GOAL", "all")
    if not setting("PARAMS"):
        check_made_by_make(Run(setting("RUN") or params.DEFAULT))
        if goal == "infer" and setting("INPUT"):
            check_is_there(setting("RUN") or params.DEFAULT)
    run, resolved = choose(setting("PARAMS", ""), setting("RUN", ""), setting("SET", ""), setting("INPUT", ""))
    if resolved.infer.input not in ("", kept_input(run)):
        named_pictures(resolved.infer.input)
    make_writable(run)
    hold(run)
    sweep(leftovers(run))
    if is_taught(run):
        infer_alone(run, resolved, goal)
    resolve(run, resolved, goal)
    for name in ("PARAMS", "SET", "INPUT", "GOAL", "MAKEFILES"):
        os.environ.pop(name, None)
    make = setting("MAKE_COMMAND", "make")
    if sum(map(partial(waits, run), STAGES)) > 1:
        from mnistlib import kernel, warm  # only who executes something waits for it

        warm.start(kernel.environment(Path(os.devnull)))
    settings = ["RESOLVED=yes", f"RUN={run.name}", f"PYTHON={sys.executable}", f"SHARED_THREADS={shared_threads()}"]
    os.execvp(make, [make, "--no-print-directory", *settings, goal])  # noqa: S606


def check_is_there(name: str) -> None:
    """Who gives pictures to a run means one that is there: a name with a slip in it shall not train another model.

    The default's is made where it is not there yet. Raises RunError.
    """
    if name == params.DEFAULT or Run(name).params().is_file():
        return
    near = nearest(name)
    hint = f"make infer RUN={near}, or " if near else ""
    raise RunError(f"there is no runs/{name} to recognise pictures with: {hint}make all RUN={name} makes it first")


def shared_threads() -> str:
    """Threads for each of two stages that make runs at once; empty where it runs one by one.

    Empty, too, where OMP_NUM_THREADS says what the person wants.
    """
    if not runs_side_by_side() or "OMP_NUM_THREADS" in os.environ:
        return ""
    return str(threads(stages=2))


def infer_alone(run: Run, resolved: Params, goal: str) -> None:
    """Become the runner of 06 in a run that `make teach` made, whose model no stage may train anew. Raises RunError."""
    if goal != "infer":
        raise RunError(f"runs/{run.name} was made by make teach and can do 'make infer' alone; give RUN another name")
    check_still_there(run, resolved.infer.input)
    write_if_changed(run, "params", resolved.model_dump())
    os.execv(sys.executable, [sys.executable, "-m", "mnistlib.execute", "06_infer", "--run", run.name])  # noqa: S606


def choose(profile: str, run_name: str, overrides: str, given_input: str) -> tuple[Run, Params]:
    """The run and its parameters. Raises RunError; INPUT, when given, is looked at before anything is written.

    A run that exists, named without a profile, keeps the parameters that it was made with, overrides laid over them.
    """
    if given_input:
        named_pictures(given_input)
    again = bool(run_name) and not profile and Run(run_name).params().is_file()
    if again:
        kept = params.load_file(Run(run_name).params())
        whole = params.overlay(params.load_file(params.profile_path(params.DEFAULT)), kept)
        resolved = params.check(params.overlay(whole, params.parse_overrides(overrides)), f"RUN={run_name}")
    else:
        resolved = params.load(profile or params.DEFAULT, overrides)
    run = Run(run_name or Path(profile or params.DEFAULT).name.removesuffix(".yaml").removesuffix(".yml"))
    said = again or "input" in params.parse_overrides(overrides).get("infer", {})
    chosen = given_input or resolved.infer.input or ("" if said else kept_input(run))
    infer = resolved.infer.model_copy(update={"input": chosen})
    return run, resolved.model_copy(update={"infer": infer})


def resolve(run: Run, resolved: Params, goal: str) -> None:
    """Write the run's parameter files where they differ; make those of stale stages newer.

    Raises RunError for what cannot be read or named, or is gone where the goal needs it; nothing is written then.
    """
    fingerprints = {stage.name: fingerprint(run, stage, resolved) for stage in STAGES}  # before anything is written
    infer = STAGE["06_infer"]
    if goal in ("all", "infer") and must_run(run, infer, resolved, fingerprints[infer.name]):
        check_still_there(run, resolved.infer.input)
    write_if_changed(run, "params", resolved.model_dump())
    wanted = (run.all_metrics, run.headline, run.receipt, overview_page())
    if not all(path.is_file() for path in wanted) or lacks_card(run):
        run.index.unlink(missing_ok=True)
    for stage in STAGES:
        changed = write_if_changed(run, stage.name, fingerprints[stage.name])
        if not changed and is_stale(run, stage, resolved):
            run.notebook(stage.name).unlink(missing_ok=True)


def waits(run: Run, stage: Stage) -> bool:
    """Whether make executes a stage whatever the stages before it hand on."""
    executed = run.notebook(stage.name)
    return not executed.is_file() or executed.stat().st_mtime < run.params(stage.name).stat().st_mtime


def lacks_card(run: Run) -> bool:
    """Whether a model lies there without its card."""
    return run.model_json.is_file() and not run.card.is_file()


def fingerprint(run: Run, stage: Stage, resolved: Params) -> dict[str, Any]:
    """What a stage depends on besides the stages before it."""
    described: dict[str, Any] = {
        "parameters": params.notebook_parameters(resolved, stage.section, run.name),
        "notebook": source.notebook_digest(stage.notebook),
        "code": source.code_digest(stage.notebook),
    }
    if stage.section == "evaluate" and (drawings := sorted(HANDWRITING.glob("*.json"))):
        described["handwriting"] = listing_digest(drawings)
    if stage.section == "infer" and resolved.infer.input:
        described["input"] = input_digest(run, resolved.infer.input)
    return described


def must_run(run: Run, stage: Stage, resolved: Params, content: dict[str, Any]) -> bool:
    """Whether a stage has to run whatever the stages before it hand on."""
    executed = run.notebook(stage.name).is_file() and not differs(run, stage.name, content)
    return not executed or is_stale(run, stage, resolved)


def is_stale(run: Run, stage: Stage, resolved: Params) -> bool:
    """Whether an executed stage must run again for what lies around it: files lost or written to, better data found."""
    if not run.notebook(stage.name).is_file():
        return False
    if missing(run, stage.name) or not run.handed_on(stage.name).is_file():
        return True
    if read_status(run, stage.name).traces != traces(run, stage.name):
        return True
    return stage.section == "data" and has_better_data(run, resolved)


def has_better_data(run: Run, resolved: Params) -> bool:
    """Whether 01 would find the dataset where it lies now: the run made do without, or its files have moved since."""
    if resolved.data.source == "digits":  # asked for, whatever else lies here
        return False
    kept = read_json(run.raw_json, hint="delete it and run make again")
    if not kept.get("fallback") and is_where_it_was(kept):
        return False
    found = better_source_exists if kept.get("fallback") else lies_here
    return found(resolved.data.dataset, resolved.data.local_dir)


def differs(run: Run, name: str, content: dict[str, Any]) -> bool:
    """Whether `params/<name>.yaml` says something else, or nothing."""
    path = run.params(name)
    return not path.is_file() or path.read_bytes() != params.dump_yaml(content).encode()


def write_if_changed(run: Run, name: str, content: dict[str, Any]) -> bool:
    """Write `params/<name>.yaml` unless it says just this already; whether it was written."""
    changed = differs(run, name, content)
    if changed:
        write_text(run.params(name), params.dump_yaml(content))
    return changed


if __name__ == "__main__":
    sys.exit(main())
