"""A page is made of the notebook that was executed, or it is said why not."""

import subprocess
import sys

import pytest

from mnistlib.core.errors import RunError
from mnistlib.reporting import notebook_html
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.mark.parametrize("content", [b"", b'{"cells": [{"cell_ty', b"null", b"{}", b'{"nbformat": 9}', b"\xff"])
def test_a_damaged_executed_notebook_is_named_with_what_to_do(tmp_path, monkeypatch, content):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    run = Run("r")
    run.notebook("03_train").parent.mkdir(parents=True)
    run.notebook("03_train").write_bytes(content)
    with pytest.raises(
        RunError, match=r"03_train\.ipynb is not a readable notebook .*: delete it, and make runs the stage"
    ):
        notebook_html.write_pages(run)


def test_whoever_runs_a_stage_or_writes_a_page_waits_for_neither_torch_nor_matplotlib():
    said = "import sys, mnistlib.pipeline.execute, mnistlib.reporting.front_page\n"
    said += "print({'torch', 'matplotlib', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True).stdout == "set()\n"
