"""The light step before make: settle the parameters, find what is stale and why, and become the make that runs it.

`make status` and `make -n` print the same plan and change nothing.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mnistlib.core import config
from mnistlib.core.config_schema import Params
from mnistlib.core.errors import RunError
from mnistlib.core.files import remove_stale, write_text
from mnistlib.core.formatting import seconds_text
from mnistlib.core.log import chosen_level, say
from mnistlib.core.system_info import threads
from mnistlib.pipeline.plan import check_still_there, named_pictures, plan, stages_of
from mnistlib.reporting.page_digests import stale_pages
from mnistlib.runs import fingerprint, previous_model
from mnistlib.runs.layout import Run, check_own_files, leftovers, nearest_run, suggestion
from mnistlib.runs.lock import lock_run, make_writable
from mnistlib.runs.model_store import check_made_by_make, is_fine_tuned
from mnistlib.runs.record import duration_estimate
from mnistlib.runs.stages import STAGE, asked_to_run_nothing, keeps_going, runs_side_by_side

PERHAPS = "perhaps, if a stage before it leaves something new"


@dataclass(frozen=True)
class Request:
    """What a person asked make for, as typed; empty where nothing was set."""

    goal: str = "all"
    profile: str = ""
    run: str = ""
    overrides: str = ""
    input: str = ""
    tracking: str = ""


def settle_and_make(asked: Request) -> int:
    """Resolve the parameters, then become make; return the exit code.

    Raises:
        RunError: a setting is wrong; nothing is touched then.
    """
    chosen_level()
    if asked.tracking:
        from mnistlib.pipeline.mlflow_tracking import check_tracking  # only who tracks waits for it

        check_tracking(asked.tracking)
    without_running = asked_to_run_nothing()
    if without_running == "t":
        raise RunError("make -t would call stages done that are not. Nothing done; make -n tells what would run")
    if not asked.profile:
        check_made_by_make(Run(asked.run or config.DEFAULT))
        if asked.goal == "infer" and asked.input:
            check_is_there(asked.run or config.DEFAULT)
    run, resolved = choose(asked.profile, asked.run, asked.overrides, asked.input)
    if resolved.infer.input not in ("", kept_input(run)):
        named_pictures(resolved.infer.input)
    if is_fine_tuned(run) and asked.goal not in ("infer", "status"):
        raise RunError(f"runs/{run.name} was made by make teach and can do 'make infer' alone; give RUN another name")
    if asked.goal == "status" or without_running:
        goal = "all" if asked.goal == "status" else asked.goal
        todo = plan(run, resolved, goal)
        pages = [] if todo else stale_pages(run)
        say(describe_plan(run, resolved, goal, todo, pages))
        return int(without_running == "q" and bool(todo or pages))
    return begin(run, resolved, asked)


def begin(run: Run, resolved: Params, asked: Request) -> int:
    """Take the run, keep what is asked for, and become the make that executes what is stale; 0 when nothing is."""
    goal = asked.goal
    make_writable(run)
    lock_run(run)
    remove_stale(leftovers(run))
    previous_model.reconcile(run)
    todo = plan(run, resolved, goal)
    if todo.get("06_infer"):
        check_still_there(run, resolved.infer.input)
    write_if_changed(run, resolved)
    pages = [] if todo else stale_pages(run)
    fingerprint.keep_digests()
    answers = print_first_answers(run, todo, resolved) if goal == "infer" and asked.input else ""
    if not (todo or pages or (goal == "all" and asked.tracking)):
        return end(run, answers)
    if todo:
        say(describe_plan(run, resolved, goal, todo, []))
    become_make(run, goal, list(todo), answers)


def become_make(run: Run, goal: str, todo: list[str], answers: str) -> NoReturn:
    """Become the make that executes these stages and renders the pages."""
    for name in ("PARAMS", "SET", "INPUT", "GOAL", "MAKEFILES"):
        os.environ.pop(name, None)
    if len(todo) > 1:
        from mnistlib.pipeline import kernel, kernel_server  # only who executes something waits for them

        kernel_server.start(kernel.environment(Path(os.devnull)))
    make = os.environ.get("MAKE_COMMAND", "make")
    settings = {"RESOLVED": "yes", "RUN": run.name, "PYTHON": sys.executable, "SHARED_THREADS": shared_threads()}
    together = sys.platform == "linux" and todo and not (runs_side_by_side() or keeps_going())
    settings |= {"TODO": " ".join(todo), "TOGETHER": "together" if together else "", "ANSWERS": answers}
    said = [f"{name}={value}" for name, value in settings.items()]
    os.execvp(make, [make, "--no-print-directory", *said, goal])  # noqa: S606


def print_first_answers(run: Run, todo: dict[str, list[str]], resolved: Params) -> str:
    """Print the answers for the first pictures before any page is made, where the model is up to date.

    Returns `printed`, or `print` where the answers have to wait for a model. Raises RunError.
    """
    if {"03_train", "04_evaluate"} & todo.keys():
        return "print"
    from mnistlib.inference.terminal_output import print_predictions  # only who gives pictures waits for it

    print_predictions(run, resolved.infer.input, resolved.infer.layout)
    return "printed"


def end(run: Run, answers: str) -> int:
    """Say the last words where nothing is left to run; returns the exit code."""
    if not answers:
        say(run.headline.read_text(encoding="utf-8").rstrip("\n"))
        return 0
    from mnistlib.inference.terminal_output import results_message

    words, code = results_message(run)
    say(words)
    return code


def describe_plan(run: Run, resolved: Params, goal: str, todo: dict[str, list[str]], pages: list[str]) -> str:
    """Return a line for each stage: up to date, or what runs, why, and about how long it took before."""
    lines = []
    for stage in stages_of(run, goal):
        if stage not in todo:
            lines.append((stage, "up to date", ""))
        elif not todo[stage]:
            lines.append((stage, "perhaps", PERHAPS.partition(", ")[2]))
        else:
            values = config.notebook_parameters(resolved, STAGE[stage].section, run.name)
            about = seconds_text(duration_estimate(run, stage, values))
            lines.append((stage, "runs", f"{'; '.join(todo[stage])}{f' (about {about})' if about else ''}"))
    if pages:
        lines.append(("pages", "to render", ", ".join(pages)))
    return "\n".join(f"{stage:<14} {what:<11} {why}".rstrip() for stage, what, why in lines)


def check_is_there(name: str) -> None:
    """Raise RunError for a run that is not there: a misspelt name beside INPUT must not train another model.

    The default's run is made where it is not there yet.
    """
    if name == config.DEFAULT or Run(name).params().is_file():
        return
    near, others = nearest_run(name), suggestion(name)
    hint = f": make infer RUN={near} INPUT=…, or " if near else f"; {others}. " if others else ": "
    raise RunError(f"there is no runs/{name} to recognize pictures with{hint}make all RUN={name} makes it first")


def shared_threads() -> str:
    """Threads for each of two stages that make runs at once; empty where it runs one by one.

    Empty, too, where OMP_NUM_THREADS says what the person wants.
    """
    if not runs_side_by_side() or "OMP_NUM_THREADS" in os.environ:
        return ""
    return str(threads(stages=2))


def choose(profile: str, run_name: str, overrides: str, pictures: str) -> tuple[Run, Params]:
    """Return the run and its parameters. Raises RunError; INPUT is checked before anything is written.

    A run that exists, named without a profile, keeps the parameters that it was made with, overrides laid over them.
    """
    if pictures:
        named_pictures(pictures)
    if run_name:
        check_own_files(Run(run_name))
    again = bool(run_name) and not profile and Run(run_name).params().is_file()
    if again:
        kept = config.with_new_names(config.load_file(Run(run_name).params()))
        whole = config.overlay(config.load_file(config.profile_path(config.DEFAULT)), kept)
        resolved = config.check(config.overlay(whole, config.parse_overrides(overrides)), f"RUN={run_name}")
    else:
        resolved = config.load(profile or config.DEFAULT, overrides)
    run = Run(run_name or Path(profile or config.DEFAULT).name.removesuffix(".yaml").removesuffix(".yml"))
    check_own_files(run)
    said = again or "input" in config.parse_overrides(overrides).get("infer", {})
    chosen = pictures or resolved.infer.input or ("" if said else kept_input(run))
    infer = resolved.infer.model_copy(update={"input": chosen})
    return run, resolved.model_copy(update={"infer": infer})


def kept_input(run: Run) -> str:
    """Return the pictures that INPUT named last for this run, so that a second make keeps their answers."""
    try:
        return str(config.load_file(run.params())["infer"]["input"])
    except (RunError, KeyError, TypeError):
        return ""


def write_if_changed(run: Run, resolved: Params) -> None:
    """Write what is asked for unless the run's `params.yaml` says just this already. Raises RunError."""
    text = config.dump_yaml(resolved.model_dump())
    path = run.params()
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
