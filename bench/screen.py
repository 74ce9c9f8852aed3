"""What a page in the browser shows broken or empty, so that no test of it passes beside a broken part."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

BROKEN = (
    ".jupyter-widgets-error-widget, [data-mime-type='application/vnd.jupyter.stderr'], "
    "[data-mime-type='application/vnd.jupyter.error']"
)
WATCH = f"""
const reported = new Set();
new MutationObserver(() => document.querySelectorAll("{BROKEN}").forEach(part => {{
  if (!reported.has(part)) console.error("broken part: " + part.outerHTML.slice(0, 500));
  reported.add(part);
}})).observe(document, {{subtree: true, childList: true, attributeFilter: ["class", "data-mime-type"]}});
"""
# What Jupyter itself reports in a sound page, by the beginning of the message.
KNOWN = (
    # Notebook 7 may read its keyboard shortcuts before they are there (jupyter/notebook#7862), and reads them again.
    "Cannot read properties of undefined (reading 'schema')",
    # Notebook 7 keeps JupyterLab's list of files out of a notebook's page, where its commands may then be missing.
    "Command 'filebrowser:open-path' not registered.",
)
PICTURES = """
[...document.querySelectorAll("img, svg, canvas")].filter(e => e.checkVisibility()).map(e => {
  const box = e.getBoundingClientRect();
  const unloaded = e.matches("img") && e.complete && !e.naturalWidth;
  return [e.outerHTML.slice(0, 80), box.x + scrollX, box.y + scrollY, box.width, box.height, unloaded];
})
"""
PAPERS = ("pad-paper", "pad-saw", "sketchpad-canvas", "sketchpad-saw")  # empty until somebody draws
SMALL = 24  # icons


def watch(page: Any) -> list[str]:
    """Collect from now on what goes wrong in a page; the list grows.

    Broken parts, console errors, page errors and failed requests; in a page from a file, which stands alone, also any
    word in the console and any request to a host.
    """
    found: list[str] = []

    def add(text: str) -> None:
        if not text.startswith(KNOWN):
            found.append(text)

    page.add_init_script(WATCH)
    page.on("console", lambda said: add(said.text) if said.type == "error" or from_file(page) else None)
    page.on("pageerror", lambda error: add(str(error)))
    page.on("requestfailed", lambda asked: add(f"{asked.url}: {asked.failure}"))
    page.on("response", lambda answer: add(f"{answer.url}: {answer.status}") if answer.status >= 400 else None)
    page.on("request", lambda asked: add(f"asked: {asked.url}") if from_file(page) and is_remote(asked.url) else None)
    return found


def from_file(page: Any) -> bool:
    return bool(page.url.startswith("file:"))


def is_remote(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


def empty_pictures(page: Any) -> list[str]:
    """Pictures that did not load, or, wholly on the screen, whose pixels are all alike."""
    shot = screenshot(page, full_page=from_file(page))
    found = []
    for name, *place, unloaded in page.evaluate(PICTURES):
        x, y, width, height = (int(number) for number in place)
        on_screen = 0 <= x <= shot.shape[1] - width and 0 <= y <= shot.shape[0] - height
        inner = shot[y + 2 : y + height - 2, x + 2 : x + width - 2]
        if unloaded:
            found.append(f"not loaded: {name}")
        elif min(width, height) >= SMALL and on_screen and not np.ptp(inner, axis=(0, 1)).any():
            found.append(f"empty picture: {name}")
    return [text for text in found if not any(paper in text for paper in PAPERS)]


def screenshot(part: Any, **options: Any) -> np.ndarray:
    """What the screen shows of a page or a part of it: red, green and blue of each CSS pixel."""
    return np.asarray(Image.open(io.BytesIO(part.screenshot(scale="css", **options))).convert("RGB"))


def check(page: Any, found: list[str]) -> None:
    """Raise RuntimeError where something went wrong in a watched page, or a picture in it is empty."""
    wrong = found + empty_pictures(page)
    if wrong:
        raise RuntimeError("the screen shows a broken part:\n" + "\n".join(wrong))
