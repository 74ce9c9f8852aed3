"""Latency of the drawing pad in a real JupyterLab and a real browser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.browser import lab
from mnistlib.core.files import ROOT
from mnistlib.data.synthetic import examples
from mnistlib.inference.predictor import Predictor

ROUNDS = 12
WATCH = """() => {
  window.waits = [];
  let up = null;
  document.addEventListener('mouseup', () => { up = performance.now(); }, true);
  const status = document.querySelector('.sketchpad-status');
  new MutationObserver(() => { if (up !== null) { window.waits.push(performance.now() - up); up = null; } })
    .observe(status, {subtree: true, childList: true, characterData: true});
}"""


def measure_latency(predictor: Predictor) -> dict[str, Any]:
    """Return milliseconds from each pen-up to the status line, which changes last, and the model's share of it."""
    drawings = [[stroke.tolist() for stroke in drawing] for drawing in examples()] * (ROUNDS // 3)
    with lab.jupyter(ROOT) as address, lab.chromium() as started, lab.watched_page(started) as page:
        lab.open_pad(page, address)
        page.evaluate(WATCH)
        for drawing in drawings:
            for stroke in drawing:
                seen = page.evaluate("() => window.waits.length")
                lab.draw_stroke(page, drawing, stroke)
                page.wait_for_function("seen => window.waits.length > seen", arg=seen)
            page.keyboard.press("c")
            lab.wait_status(page, "cleared")
        waits: list[float] = page.evaluate("() => window.waits")
    shares = [seconds(predictor, drawing) * 1000 for drawing in drawings for _ in range(5)]
    return {"pen_ups": len(waits), **spread("pad_ms", waits), **spread("model_ms", shares)}


def seconds(predictor: Predictor, drawing: Sequence[Any]) -> float:
    began = time.perf_counter()
    predictor.strokes(drawing)
    return time.perf_counter() - began


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p50": float(np.median(values)), f"{name}_p95": float(np.percentile(values, 95))}
