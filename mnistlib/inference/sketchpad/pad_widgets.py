"""The pad's widgets, each with the class by which it is styled and found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets
from ipycanvas import Canvas
from ipycanvas import canvas as ipycanvas_module

from mnistlib.inference.sketchpad.rendering import SIDE, STYLE

COMMANDS = ("Save · Space", "Clear · C", "Undo · Z", "Close · Esc")
SEEN = '<div class="sketchpad-hint">what the model saw</div>'
HINT = '<div class="sketchpad-hint">Not what you meant? Click the right digit; it is kept for teaching.</div>'


def named(part: Any, name: str) -> Any:
    """The widget, to be found as `.sketchpad-<name>`."""
    part.add_class(f"sketchpad-{name}")
    return part


@dataclass(frozen=True)
class PadWidgets:
    """What changes as one draws."""

    canvas: Any
    saw: Any
    digit: Any
    caption: Any
    bars: Any
    status: Any
    buttons: Sequence[Any]


def make_widgets() -> PadWidgets:
    """The canvas twice as fine as it is shown; without a layout it would fill the cell's width."""
    canvas = Canvas(width=2 * SIDE, height=2 * SIDE, layout={"width": f"{SIDE}px", "height": f"{SIDE}px"})
    saw = widgets.Image(format="png", layout={"width": "84px", "height": "84px"})
    texts = {name: named(widgets.HTML(), name) for name in ("digit", "caption", "bars", "status")}
    buttons = [widgets.Button(description=text, tooltip=text) for text in COMMANDS]
    return PadWidgets(named(canvas, "canvas"), named(saw, "saw"), **texts, buttons=buttons)


def arrange_widgets(
    parts: PadWidgets, commands: Sequence[Callable[[], None]], correct: Callable[[int], None]
) -> list[widgets.Widget]:
    """Canvas and commands to the left; the answer, its bars and the ten digits to click on to the right or below."""
    digits = [widgets.Button(description=str(n), tooltip=f"it is a {n}") for n in range(10)]
    acts = [*commands, *(partial(correct, n) for n in range(10))]
    for pressed, act in zip([*parts.buttons, *digits], acts, strict=True):
        pressed.on_click(lambda _, act=act: act())
    seen = column("seen", parts.saw, widgets.HTML(SEEN))
    head = box("head", widgets.VBox([parts.digit, parts.caption]), seen)
    bars = box("answer", column("labels", *digits), parts.bars)
    left = column("left", parts.canvas, parts.status, box("buttons", *parts.buttons))
    right = column("right", head, bars, widgets.HTML(HINT))
    return [widgets.HTML(STYLE), box("body", left, right)]


def tell_browser_again() -> None:
    """Let the next drawing command say which canvas it is for: a reloaded page has forgotten, ipycanvas has not."""
    ipycanvas_module._CANVAS_MANAGER._current_canvas = None


def box(name: str, *parts: widgets.Widget) -> Any:
    return named(widgets.Box(parts), name)


def column(name: str, *parts: widgets.Widget) -> Any:
    return named(widgets.VBox(parts), name)
