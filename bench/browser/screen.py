"""Find broken parts and empty pictures in a page, so that no browser test passes beside one."""

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
# Messages that Jupyter reports in a page without faults, by their beginning.
IGNORED = (
    # Notebook 7 may read its shortcuts before they are loaded, and then reads them again (jupyter/notebook#7862).
    "Cannot read properties of undefined (reading 'schema')",
    # Notebook 7 has no file browser in a notebook's page, so its command may be missing.
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
    """Return a list to which the page's faults are appended from now on.

    Faults are broken parts, console errors, page errors and failed requests. In a page opened from a file, any console
    message and any request to a host is a fault too.
    """
    found: list[str] = []

    def add(text: str) -> None:
        if not text.startswith(IGNORED):
            found.append(text)

    page.add_init_script(WATCH)
    page.on("console", lambda said: add(said.text) if said.type == "error" or from_file(page) else None)
    page.on("pageerror", lambda error: add(str(error)))
    page.on("requestfailed", lambda asked: None if is_replaced(asked) else add(f"{asked.url}: {asked.failure}"))
    page.on("response", lambda answer: add(f"{answer.url}: {answer.status}") if answer.status >= 400 else None)
    page.on("request", lambda asked: add(f"request: {asked.url}") if from_file(page) and is_remote(asked.url) else None)
    return found


def is_replaced(asked: Any) -> bool:
    """Return whether a failed request is for a tab's icon, which the browser aborts when the next icon comes."""
    return "/favicons/" in asked.url and asked.failure == "net::ERR_ABORTED"


def from_file(page: Any) -> bool:
    return bool(page.url.startswith("file:"))


def is_remote(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


def empty_pictures(page: Any) -> list[str]:
    """Return pictures that did not load, or whose pixels on the screen are all equal."""
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
    """Return a screenshot of a page or a part of it: uint8, height×width×3 in CSS pixels."""
    return np.asarray(Image.open(io.BytesIO(part.screenshot(scale="css", **options))).convert("RGB"))


def check(page: Any, found: list[str]) -> None:
    """Raise RuntimeError if a watched page had faults or shows an empty picture."""
    wrong = found + empty_pictures(page)
    if wrong:
        raise RuntimeError("the page shows a broken part:\n" + "\n".join(wrong))
