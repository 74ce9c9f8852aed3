"""The pad's widgets, each with a CSS class of its own."""

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
INPUT_HINT = '<div class="sketchpad-hint">what the model saw</div>'


def named(widget: Any, name: str) -> Any:
    """Add the class `sketchpad-<name>` to a widget."""
    widget.add_class(f"sketchpad-{name}")
    return widget


@dataclass(frozen=True)
class PadWidgets:
    """The widgets that change while you draw."""

    canvas: Any
    saw: Any
    digit: Any
    caption: Any
    bars: Any
    hint: Any
    status: Any
    buttons: Sequence[Any]
    digits: Sequence[Any]


def make_widgets() -> PadWidgets:
    """Make the widgets; the canvas has twice the resolution of its size on the screen."""
    canvas = Canvas(width=2 * SIDE, height=2 * SIDE, layout={"width": f"{SIDE}px", "height": f"{SIDE}px"})
    saw = widgets.Image(format="png", layout={"width": "84px", "height": "84px"})
    texts = {name: named(widgets.HTML(), name) for name in ("digit", "caption", "bars", "hint", "status")}
    buttons = [widgets.Button(description=text, tooltip=text) for text in COMMANDS]
    digits = [widgets.Button(description=str(n), tooltip=f"This is a {n}") for n in range(10)]
    return PadWidgets(named(canvas, "canvas"), named(saw, "saw"), **texts, buttons=buttons, digits=digits)


def arrange_widgets(
    view: PadWidgets, commands: Sequence[Callable[[], None]], correct: Callable[[int], None]
) -> list[widgets.Widget]:
    """Lay out canvas and commands on the left; prediction, bars and digit buttons on the right or below."""
    acts = [*commands, *(partial(correct, n) for n in range(10))]
    for pressed, act in zip([*view.buttons, *view.digits], acts, strict=True):
        pressed.on_click(lambda _, act=act: act())
    seen = column("seen", view.saw, widgets.HTML(INPUT_HINT))
    head = box("head", widgets.VBox([view.digit, view.caption]), seen)
    bars = box("answer", column("labels", *view.digits), view.bars)
    left = column("left", view.canvas, view.status, box("buttons", *view.buttons))
    right = column("right", head, bars, view.hint)
    return [widgets.HTML(STYLE), box("body", left, right)]


def tell_browser_again() -> None:
    """Make the next drawing command name its canvas: a reloaded page has forgotten it, ipycanvas has not."""
    ipycanvas_module._CANVAS_MANAGER._current_canvas = None


def box(name: str, *children: widgets.Widget) -> Any:
    return named(widgets.Box(children), name)


def column(name: str, *children: widgets.Widget) -> Any:
    return named(widgets.VBox(children), name)
