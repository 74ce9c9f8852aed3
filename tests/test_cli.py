"""The command line: every command is listed, takes its settings from the environment too, and ends in words."""

import re
import signal

import click
import pytest

from mnistlib import cli
from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.pipeline import verify


def test_what_the_makefile_calls_is_a_command_and_help_lists_it(capsys):
    called = set(re.findall(r"-m mnistlib ([a-z]+)", (ROOT / "Makefile").read_text()))
    assert len(called) >= 10
    cli.cli.main(["--help"], standalone_mode=False)
    listed = re.findall(r"^  ([a-z]+)  +[A-Z]", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)
    assert {*called, "predict"} == set(listed)


@pytest.mark.parametrize("way", ["option", "environment"])
@pytest.mark.parametrize("text", ["r", "$(x) `y`; z  *", "é\udcff"])
def test_a_setting_comes_from_an_option_or_the_environment_as_it_is(monkeypatch, way, text):
    asked = []
    monkeypatch.setattr(verify, "verify_run", lambda name: asked.append(name) or 7)
    monkeypatch.delenv("RUN", raising=False)
    if way == "environment":
        monkeypatch.setenv("RUN", text)
    arguments = ["verify", *(["--run", text] if way == "option" else [])]
    assert cli.cli.main(arguments, standalone_mode=False) == 7
    assert asked == [text]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [(RunError("no such run"), 2, "no such run\n"), (KeyboardInterrupt, 130, "\nnothing verified\n")],
)
def test_a_command_ends_in_words_and_leaves_this_process_as_it_was(monkeypatch, capsys, raised, code, said):
    def fail(name):
        raise raised

    monkeypatch.setattr(verify, "verify_run", fail)
    assert cli.cli.main(["verify"], standalone_mode=False) == code
    assert capsys.readouterr().err == said
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_a_wrong_call_is_refused():
    with pytest.raises(click.UsageError):
        cli.cli.main(["predicct"], standalone_mode=False)
