"""The commands that messages advise, as a reader types them, for tests that follow advice."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from mnistlib.core.errors import RunError
from tests.conftest import ROOT, Made

TARGETS = set(re.findall(r"^## (\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMAND = re.compile(r"((?:[A-Z_]+=[^\s:]+ )*)\bmake ([a-z]+)((?: [A-Z]\w*=[^\s:;,)'\"]+)*)")


def refusal(call: Callable[[], Any]) -> str:
    """What a call says that cannot do its work."""
    with pytest.raises(RunError) as refused:
        call()
    return str(refused.value)


def commands(said: str) -> list[list[str]]:
    """The commands in a text: the goal, its settings, and those that stand before `make`."""
    found = [match.groups() for match in COMMAND.finditer(said)]
    return [[goal, *given.split(), *before.split()] for before, goal, given in found if goal in TARGETS]


def filled(command: list[str], **values: str) -> list[str]:
    """A command with the reader's own settings, where a message can only say `…`, `name` or `folder`."""
    parts = [word.partition("=") for word in command]
    return [f"{name}={values.get(name, text)}" if equals else name for name, equals, text in parts]


def well(made: Made) -> Made:
    """A make that ended well."""
    assert made.code == 0, made.text
    return made
