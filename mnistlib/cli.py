"""The command line: `python -m mnistlib COMMAND`. make calls it, with what a person set in the environment.

Each command imports what it calls when it is called, so that no command waits for the libraries of another.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from mnistlib.core.errors import RunError


def setting(name: str, text: str, flag: str = "") -> Callable[[Callable], Callable]:
    """Return an option that the environment may set as well: `--run` and RUN."""
    return click.option(f"--{flag or name.lower()}", envvar=name, default="", show_envvar=True, help=text)


RUN = setting("RUN", "name of the run")


@click.group()
@setting("LOG", "debug, info or warning")
def cli(log: str) -> None:
    """A digit classifier as a notebook pipeline. `make` lists the everyday commands."""
    if log:
        os.environ["LOG"] = log


def command(name: str, stopped: str) -> Callable[[Callable[..., int]], click.Command]:
    """Register a command that returns an exit code and ends without a traceback.

    Args:
        name: of the command.
        stopped: what to say after a Ctrl-C; the exit code is 130 then. A RunError is said in its own words, with 2.
    """

    def register(function: Callable[..., int]) -> click.Command:
        @wraps(function)
        def run(**settings: Any) -> int:
            try:
                return function(**settings)
            except RunError as error:
                print(error, file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print(f"\n{stopped}", file=sys.stderr)
                return 130

        return cli.command(name)(run)

    return register


def main() -> int:
    """Run the command that the arguments name; return its exit code, 2 for a wrong call."""
    try:
        return int(cli.main(prog_name="python -m mnistlib", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:  # a Ctrl-C before any command has begun
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # while Python ends, a Ctrl-C would show a traceback


@command("predict", "interrupted")
@click.argument("pictures", nargs=-1, required=True)
@RUN
@click.option("--json", "as_json", is_flag=True, help="print a list of objects instead of lines")
def predict(pictures: tuple[str, ...], run: str, as_json: bool) -> int:
    """Recognize picture files, or folders of them."""
    from mnistlib.inference.terminal_output import predict_files

    return predict_files(pictures, run or "default", as_json)


@command("teach", "nothing taught")
@RUN
def teach(run: str) -> int:
    """Fine-tune the model of RUN on your own corrected drawings, into a new run."""
    from mnistlib.pipeline.fine_tune_run import teach_run

    return teach_run(run)


@command("compare", "nothing compared")
@setting("A", "name of the first run")
@setting("B", "name of the second run")
def compare(a: str, b: str) -> int:
    """Show two runs side by side, into runs/compare/."""
    from mnistlib.reporting.comparison import compare_runs

    return compare_runs(a, b)


@command("export", "nothing exported")
@RUN
def export(run: str) -> int:
    """Write the model of RUN, or of the newest run, as ONNX."""
    from mnistlib.inference.onnx_export import export_run

    return export_run(run)


@command("verify", "nothing verified")
@RUN
def verify(run: str) -> int:
    """Repeat RUN from its receipt, beside it, and say what agrees."""
    from mnistlib.pipeline.verify import verify_run

    return verify_run(run)


@command("lab", "JupyterLab did not start: make lab again")
@setting("LAB", "options of JupyterLab, such as '--port 8899'", flag="options")
def lab(options: str) -> int:
    """Open the notebooks in JupyterLab."""
    from mnistlib.pipeline.lab import open_lab

    return open_lab(options)


@command("clean", "not all of it is deleted: make clean again")
@RUN
def clean(run: str) -> int:
    """Delete RUN and all that is in it; asks first."""
    from mnistlib.pipeline.clean import clean_run

    return clean_run(run)


@command("resolve", "nothing begun")
@setting("GOAL", "all, status, or the stage to end with")
@setting("PARAMS", "profile, or a YAML file of parameters")
@RUN
@setting("SET", "parameters to change, such as 'train.epochs=3'")
@setting("INPUT", "folder or files of your own pictures")
@setting("TRACKING", "mlflow to log the run")
def resolve(goal: str, params: str, run: str, set: str, input: str, tracking: str) -> int:  # noqa: A002 - options' names
    """Find what is stale and become the make that runs it. Called by make."""
    from mnistlib.pipeline.resolve import Request, settle_and_make

    return settle_and_make(Request(goal or "all", params, run, set, input, tracking))


@command("execute", "interrupted")
@click.argument("stages", nargs=-1, required=True)
@RUN
def execute(stages: tuple[str, ...], run: str) -> int:
    """Run the STAGES that are stale. Called by make."""
    from mnistlib.pipeline.execute import run_stages

    return run_stages(stages, run)


@command("pages", "the pages are not all written: run make again")
@RUN
@setting("ANSWERS", "print: print the answers for INPUT; printed: it is already done")
def pages(run: str, answers: str) -> int:
    """Render the pages of RUN that are stale, and print its results. Called by make."""
    from mnistlib.reporting.front_page import render_run

    return render_run(run, answers)


@command("track", "not logged")
@RUN
def track(run: str) -> int:
    """Log RUN to MLflow. Called by make."""
    from mnistlib.pipeline.mlflow_tracking import track_run

    return track_run(run)
