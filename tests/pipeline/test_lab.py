"""`make lab`: the real JupyterLab on loopback, with the options that people give it."""

import os
import signal
import socket
import subprocess

import pytest

from bench.browser.lab import wait_for
from mnistlib.core.errors import RunError
from mnistlib.pipeline.lab import options


def test_it_serves_the_notebooks_on_loopback_until_it_is_stopped(project):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = f"--port {port} --no-browser --IdentityProvider.token='a b'"
    running = project.start("lab", f"LAB={given}", output=subprocess.DEVNULL, JUPYTER_CONFIG_DIR=str(project.folder))
    try:
        wait_for(f"http://127.0.0.1:{port}/api/contents/06_infer.ipynb?content=0&token=a%20b", running)
        with pytest.raises(ConnectionError):  # a server for all the network's addresses would answer here, too
            socket.create_connection(("127.0.0.2", port), timeout=5)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def test_nothing_in_the_options_is_expanded_or_run(project):
    said = project.make("lab", "LAB=--version '$(shell touch owned)' $(shell touch owned) `touch owned`; touch owned")
    assert said.code == 0, said.text
    assert not list(project.folder.rglob("owned"))
    assert options("--ip=$HOME '*' `id` a\\ b;", is_root=False) == ["--ip=$HOME", "*", "`id`", "a b;"]


def test_root_is_allowed_once_and_others_are_not_asked():
    assert options("", is_root=True) == ["--allow-root"]
    assert options("--allow-root --port 1", is_root=True) == ["--allow-root", "--port", "1"]
    assert options("--port 1", is_root=False) == ["--port", "1"]


def test_an_open_quotation_mark_is_refused_in_words(project):
    with pytest.raises(RunError, match="No closing quotation"):
        options("--port '8899", is_root=False)
    done = project.make("lab", "LAB=--port '8899")
    assert done.code != 0
    assert "LAB=--port '8899" in done.text
    assert "Traceback" not in done.text
