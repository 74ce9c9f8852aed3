"""Drive a real JupyterLab on loopback with a real Chromium, for tests and benchmarks of the drawing pad."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.browser import screen
from mnistlib.core import system_info

CHROMIUM = system_info.browser()
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
LAB, NOTEBOOK = "lab/tree", "notebooks"
PROMPTS = "[...document.querySelectorAll('.jp-InputPrompt')].map(e => e.innerText).join()"
CANVAS = ".sketchpad-canvas canvas, canvas.sketchpad-canvas"
# JupyterLab may not attach cells that are out of view: on a busy machine it can stay at the last cell after Run All.
SCROLL = """() => document.querySelectorAll('.jp-WindowedPanel-outer').forEach(e => {
  e.scrollTop = e.scrollTop + e.clientHeight >= e.scrollHeight ? 0 : e.scrollTop + e.clientHeight / 2; })"""
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
ASKS = ".jp-Dialog .jp-mod-accept"
FILL = 0.7
Stroke = Sequence[Sequence[float]]


@contextmanager
def jupyter(project: Path) -> Iterator[str]:
    """Start Jupyter on the project's notebooks, on a free port; yield the URL of 06_infer, with `{}` for the app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, state = secrets.token_hex(16), project / "runs" / ".lab"
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        f"--IdentityProvider.token={token}", "--notebook-dir", str(project / "notebooks"),
        "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    places = {
        name: str(state / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")
    }
    environment = {**os.environ, **places, "PYTHONPATH": str(project)}
    theme = state / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    theme.parent.mkdir(parents=True, exist_ok=True)
    theme.write_text('{"adaptive-theme": true}')  # dark where the browser is
    with (state / "lab.log").open("w") as log:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server)
            yield f"http://127.0.0.1:{port}/{{}}/06_infer.ipynb?token={token}"
        finally:
            server.terminate()
            server.wait(30)
            shutil.rmtree(state, ignore_errors=True)


def can_browse() -> bool:
    """Return whether Chromium, Playwright and Notebook are installed."""
    return bool(CHROMIUM and importlib.util.find_spec("playwright") and importlib.util.find_spec("notebook"))


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait up to a minute for the server. Raise RuntimeError if it does not answer."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server on loopback
                json.load(answer)
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.25)
    raise RuntimeError("JupyterLab did not start")


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a headless Chromium, as Playwright's `Browser`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@contextmanager
def watched_page(started: Any, **context: Any) -> Iterator[Any]:
    """Yield a page of a Chromium.

    Args:
        started: what `chromium` yields.
        context: options of Playwright's `new_context`, for example viewport, color_scheme or has_touch.

    Raises:
        RuntimeError: at the end, if the page showed an error or an empty picture.
    """
    inside = started.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
    try:
        page = inside.new_page()
        found = screen.watch(page)
        yield page
        screen.check(page, found)
    finally:
        inside.close()


def open_pad(page: Any, address: str, app: str = LAB) -> None:
    """Open 06_infer in JupyterLab or Notebook 7, run all cells, and wait for the pad and the last cell.

    Raises:
        RuntimeError: the pad did not appear within a minute; the message holds the cells' prompts.
    """
    # The notebook also shows "idle" before its kernel has started.
    with page.expect_websocket(lambda socket: "/api/kernels/" in socket.url, timeout=60_000):
        page.goto(address.format(app))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    run_all(page)
    if not appears(page, CANVAS, 60, then=SCROLL):
        raise RuntimeError(f"no pad after a minute; the cells' prompts: {page.evaluate(f'() => {PROMPTS}')}")
    page.locator(CANVAS).scroll_into_view_if_needed()
    wait_status(page, "Draw a digit")
    page.wait_for_function(f"() => !{PROMPTS}.includes('*')", timeout=60_000)


def appears(page: Any, selector: str, seconds: int, then: str = "") -> bool:
    """Return whether an element matches the selector within so many seconds; `then`: JavaScript after each look."""
    for _ in range(4 * seconds):
        if page.locator(selector).count():
            return True
        page.wait_for_timeout(250)
        if then:
            page.evaluate(then)
    return False


def run_all(page: Any) -> None:
    """Choose Run All Cells until every cell has run. Raise RuntimeError after 20 tries.

    Before the kernel has started, JupyterLab asks for one, does nothing, or runs only the first cell.
    """
    page.wait_for_selector(IDLE, timeout=60_000, state="attached")
    for _ in range(20):
        if page.locator(ASKS).count():
            page.locator(ASKS).click()
        else:
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_timeout(1500)
        if page.evaluate(f"() => !{PROMPTS}.includes('[ ]')"):
            return
    raise RuntimeError("cells that never ran")


def draw(page: Any, strokes: Sequence[Stroke], canvas: str = CANVAS) -> None:
    """Draw the strokes with the mouse, large and centered on the pad."""
    for stroke in strokes:
        draw_stroke(page, strokes, stroke, canvas)


def draw_stroke(page: Any, strokes: Sequence[Stroke], stroke: Stroke, canvas: str = CANVAS) -> None:
    """Draw one stroke at its place in the drawing."""
    box = page.locator(canvas).bounding_box()
    points = [point for each in strokes for point in each]
    low, high = ([most(p[i] for p in points) for i in (0, 1)] for most in (min, max))
    scale = FILL * box["width"] / max(high[0] - low[0], high[1] - low[1])
    place = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    path = [[place[i] + (p[i] - (low[i] + high[i]) / 2) * scale for i in (0, 1)] for p in stroke]
    page.mouse.move(*path[0])
    page.mouse.down()
    for point in path[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def shown(page: Any, part: str) -> str:
    """Return the text of a part of the pad."""
    return str(page.locator(f".sketchpad-{part}").inner_text()).strip()


def wait_status(page: Any, words: str) -> str:
    """Wait until the pad's status contains the words; return the whole status."""
    page.wait_for_function(
        "words => document.querySelector('.sketchpad-status').innerText.includes(words)", arg=words, timeout=15_000
    )
    return shown(page, "status")
