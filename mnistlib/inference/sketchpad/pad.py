"""A pad to draw digits on: ipycanvas and ipywidgets around the strokes, which live here and not in the browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from ipycanvas import hold_canvas

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.core.formatting import counted
from mnistlib.core.log import is_headless
from mnistlib.inference.drawings import describe_drawing, save_drawing, save_label
from mnistlib.inference.predictor import Prediction, Predictor
from mnistlib.inference.sketchpad.pad_widgets import arrange_widgets, make_widgets, tell_browser_again
from mnistlib.inference.sketchpad.rendering import PAPER, PEN, SIDE, STYLE, WIDTH, show_answer, status
from mnistlib.runs.layout import Run

EVERY = 0.08


def shielded(handler: Callable[..., None]) -> Callable[..., None]:
    """A callback one at a time, whose errors are shown in the pad: ipywidgets would swallow them."""

    @wraps(handler)
    def call(pad: SketchPad, *arguments: Any) -> None:
        with pad.lock:
            if pad.closed:
                return
            try:
                handler(pad, *arguments)
            except RunError as error:
                pad.say(str(error), "error")
            except Exception as error:  # whatever it was: a pad that dies silently is worse
                pad.show(None)
                pad.say(f"{type(error).__name__}: {error}. Your strokes are kept; draw on, or clear.", "error")

    return call


class SketchPad(widgets.VBox):  # type: ignore[misc]
    """Draw a digit and see it recognised; Space saves, C clears, Z undoes a stroke, Esc closes.

    `predictor` recognises; drawings are kept in `run`'s `data/inference/drawings/` (default: the predictor's own
    run). `strokes` is what has been drawn, lists of (x, y) in canvas pixels, y down; `answer` is what was made of it,
    None without ink; `kept` is the folder of the drawing once saved.
    """

    def __init__(self, predictor: Predictor, run: Run | None = None) -> None:
        self.predictor, self.run = predictor, run or Run(predictor.run)
        self.strokes: list[list[tuple[float, float]]] = []
        self.answer: Prediction | None = None
        self.kept: Path | None = None
        self.closed = self.drawing = False
        self.lock, self.answered_at = threading.RLock(), 0.0
        self.parts = make_widgets()
        self.canvas = self.parts.canvas
        acts = (self.save, self.clear, self.undo, self.finish)
        commands = [partial(self.click, act) for act in acts]
        super().__init__(arrange_widgets(self.parts, commands, lambda label: self.click(partial(self.correct, label))))
        self.add_class("sketchpad")
        self.listen()
        self.recognise()
        self.say("Draw a digit.")

    def listen(self) -> None:
        """Strokes end on up, out, end and cancel; with several fingers the first one draws."""
        canvas = self.canvas
        canvas.on_mouse_down(self.begin)
        canvas.on_mouse_move(self.move)
        canvas.on_mouse_up(self.end)
        canvas.on_mouse_out(self.end)
        canvas.on_touch_start(lambda fingers: self.begin(*fingers[0]))
        canvas.on_touch_move(lambda fingers: self.move(*fingers[0]))
        canvas.on_touch_end(lambda fingers: self.end())
        canvas.on_touch_cancel(lambda fingers: self.end())
        canvas.on_key_down(self.press)
        canvas.on_client_ready(self.redraw)

    @shielded
    def begin(self, x: float, y: float) -> None:
        """The pen comes down: a new stroke."""
        self.drawing, self.kept = True, None
        self.strokes.append([(x, y)])
        self.ink([(x, y)])

    @shielded
    def move(self, x: float, y: float) -> None:
        """The pen moves: joined to where it was, so that fast hands leave no gaps; recognised now and then."""
        if not self.drawing:
            return
        self.ink([self.strokes[-1][-1], (x, y)])
        self.strokes[-1].append((x, y))
        if time.monotonic() - self.answered_at > EVERY:
            self.recognise()

    @shielded
    def end(self, *_: float) -> None:
        """The pen goes up, or away."""
        if self.drawing:
            self.drawing = False
            self.recognise()
            self.say(counted(len(self.strokes), "stroke"))

    def click(self, act: Callable[[], None]) -> None:
        """A button: the keys go on reaching the paper."""
        act()
        if not self.closed:
            self.canvas.focus()

    @shielded
    def press(self, key: str, *modifiers: bool) -> None:
        """A key on the canvas."""
        act = {" ": self.save, "c": self.clear, "z": self.undo, "escape": self.finish}.get(key.lower())
        if key.lower() == "tab":  # the canvas would keep it
            self.parts.buttons[-1 if any(modifiers) else 0].focus()
        elif act and not any(modifiers):
            act()

    def ink(self, points: list[tuple[float, float]]) -> None:
        """Draw the line through the points with a round pen, so that joins are whole; one point alone is a dot."""
        if len(points) > 1:
            self.canvas.stroke_lines(points)
        else:
            self.canvas.fill_circle(*points[0], WIDTH / 2)

    @shielded
    def redraw(self) -> None:
        """Paper and all strokes anew: when a browser shows the pad, or a stroke was undone."""
        tell_browser_again()
        with hold_canvas():
            self.canvas.fill_style = PAPER
            self.canvas.fill_rect(0, 0, 2 * SIDE)
            self.canvas.stroke_style = self.canvas.fill_style = PEN
            self.canvas.line_width = WIDTH
            self.canvas.line_cap = self.canvas.line_join = "round"
            for stroke in self.strokes:
                self.ink(stroke)

    def recognise(self) -> None:
        """Show the answer to what has been drawn so far."""
        self.show(self.predictor.strokes(self.strokes) if self.strokes else None)
        self.answered_at = time.monotonic()

    def show(self, answer: Prediction | None) -> None:
        """Digit, bars and picture of an answer; of none, a pad without ink."""
        self.answer = answer
        for name, value in show_answer(answer).items():
            getattr(self.parts, name).value = value

    def say(self, text: str, kind: str = "") -> None:
        """What happened last, for people and for those who listen to it."""
        self.parts.status.value = status(text, kind)

    @shielded
    def save(self) -> None:
        """Recognise and keep: once, however often it is asked."""
        folder, new = self.keep()
        self.say(f"saved: {shown(folder)}" if new else f"already saved: {shown(folder)}", "good")

    @shielded
    def correct(self, label: int) -> None:
        """The person says what it is: kept with the drawing, and for teaching."""
        folder, _ = self.keep()
        save_label(folder, label)
        self.say(f"saved as a {label}: {shown(folder)}", "good")

    def keep(self) -> tuple[Path, bool]:
        """The drawing's folder and whether it is new. Raises RunError without ink."""
        self.drawing = False
        self.recognise()
        if self.answer is None:
            raise RunError("nothing to save: draw a digit first")
        self.kept, new = save_drawing(self.run, describe_drawing(self.strokes, self.answer, self.predictor.model))
        return self.kept, new

    @shielded
    def clear(self) -> None:
        """Empty paper."""
        self.start_again([])
        self.say("cleared")

    @shielded
    def undo(self) -> None:
        """Take the last stroke back."""
        if not self.strokes:
            self.say("nothing to undo")
            return
        self.start_again(self.strokes[:-1])
        self.say(f"last stroke undone; {len(self.strokes)} left")

    def start_again(self, strokes: list[list[tuple[float, float]]]) -> None:
        """Show other strokes than those drawn so far."""
        self.strokes, self.drawing, self.kept = strokes, False, None
        self.redraw()
        self.recognise()

    @shielded
    def finish(self) -> None:
        """Close the pad: it takes no more strokes, and says so."""
        self.say("closed; run the cell again for a new pad")
        self.closed = True
        self.children = [widgets.HTML(STYLE), self.parts.status]


def open_pad(predictor: Predictor, run: Run) -> SketchPad | None:
    """A pad for a person at the screen; where nobody watches, a word on where it opens."""
    if is_headless():
        print("The pad opens where somebody can draw: run this notebook in JupyterLab (make lab).")
        return None
    return SketchPad(predictor, run)
