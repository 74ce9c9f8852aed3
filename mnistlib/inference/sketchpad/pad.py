"""The drawing pad: ipycanvas and ipywidgets around strokes that are kept in Python, not in the browser."""

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
from mnistlib.inference.prediction import Number
from mnistlib.inference.predictor import Prediction, Predictor
from mnistlib.inference.sketchpad.pad_widgets import arrange_widgets, make_widgets, tell_browser_again
from mnistlib.inference.sketchpad.rendering import BOX, PAPER, PEN, SIDE, STYLE, WIDTH, show_answer, status
from mnistlib.runs.layout import Run

EVERY = 0.08  # seconds between predictions while the pen moves
MARGIN = WIDTH / 2 + 4  # between a digit's strokes and its box


def shielded(handler: Callable[..., None]) -> Callable[..., None]:
    """Run a callback under the pad's lock and show its errors in the pad: ipywidgets would swallow them."""

    @wraps(handler)
    def call(pad: SketchPad, *arguments: Any) -> None:
        with pad.lock:
            if pad.closed:
                return
            try:
                handler(pad, *arguments)
            except RunError as error:
                pad.say(str(error), "error")
            except Exception as error:  # a pad that fails silently is worse
                pad.show(Number(()))
                pad.say(f"{type(error).__name__}: {error}. Your strokes are still there: draw on, or clear.", "error")

    return call


class SketchPad(widgets.VBox):  # type: ignore[misc]
    """A pad that shows the prediction while you draw; Space saves, C clears, Z undoes a stroke, Esc closes.

    Drawings are saved in `run`, the predictor's own by default.

    Attributes:
        strokes: lists of (x, y) in canvas pixels, y down.
        number: what is read, one digit or several.
        answer: the prediction of a single digit; None without ink and for several digits.
        kept: folder of the drawing once it is saved, else None.
    """

    def __init__(self, predictor: Predictor, run: Run | None = None) -> None:
        self.predictor, self.run = predictor, run or Run(predictor.run)
        self.strokes: list[list[tuple[float, float]]] = []
        self.number = self.boxed = Number(())
        self.kept: Path | None = None
        self.closed = self.drawing = False
        self.lock, self.answered_at = threading.RLock(), 0.0
        self.view = make_widgets()
        self.canvas = self.view.canvas
        commands = [partial(self.click, act) for act in (self.save, self.clear, self.undo, self.finish)]
        super().__init__(arrange_widgets(self.view, commands, lambda label: self.click(partial(self.correct, label))))
        self.add_class("sketchpad")
        self.listen()
        self.predict()
        self.say("Draw a digit.")

    @property
    def answer(self) -> Prediction | None:
        return self.number.digits[0].prediction if len(self.number.digits) == 1 else None

    def listen(self) -> None:
        """Connect the canvas's events: up, out, end and cancel end a stroke, and the first finger draws."""
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
        """Start a stroke."""
        self.drawing, self.kept = True, None
        self.strokes.append([(x, y)])
        self.ink([(x, y)])

    @shielded
    def move(self, x: float, y: float) -> None:
        """Extend the stroke by a line, and predict every 0.08 s."""
        if not self.drawing:
            return
        self.ink([self.strokes[-1][-1], (x, y)])
        self.strokes[-1].append((x, y))
        if time.monotonic() - self.answered_at > EVERY:
            self.predict()

    @shielded
    def end(self, *_: float) -> None:
        """End the stroke."""
        if self.drawing:
            self.drawing = False
            self.predict()
            if max(len(self.number.digits), len(self.boxed.digits)) > 1:
                self.redraw()
            self.say(counted(len(self.strokes), "stroke"))

    def click(self, act: Callable[[], None]) -> None:
        """Run a button's command and return the focus to the canvas, which takes the keys."""
        act()
        if not self.closed:
            self.canvas.focus()

    @shielded
    def press(self, key: str, *modifiers: bool) -> None:
        """Run the command of a key."""
        act = {" ": self.save, "c": self.clear, "z": self.undo, "escape": self.finish}.get(key.lower())
        if key.lower() == "tab":  # the canvas would swallow it
            self.view.buttons[-1 if any(modifiers) else 0].focus()
        elif act and not any(modifiers):
            act()

    def ink(self, points: list[tuple[float, float]]) -> None:
        """Draw a line with round joins through the points; a single point is a dot."""
        if len(points) > 1:
            self.canvas.stroke_lines(points)
        else:
            self.canvas.fill_circle(*points[0], WIDTH / 2)

    @shielded
    def redraw(self) -> None:
        """Draw canvas and strokes again, for a browser that opens the pad or after an undo."""
        tell_browser_again()
        with hold_canvas():
            self.canvas.fill_style = PAPER
            self.canvas.fill_rect(0, 0, 2 * SIDE)
            self.canvas.stroke_style = self.canvas.fill_style = PEN
            self.canvas.line_width = WIDTH
            self.canvas.line_cap = self.canvas.line_join = "round"
            for stroke in self.strokes:
                self.ink(stroke)
            self.draw_boxes()

    def draw_boxes(self) -> None:
        """Draw a box around each digit of several."""
        self.boxed = self.number
        self.canvas.stroke_style, self.canvas.line_width = BOX, 3
        for digit in self.number.digits if len(self.number.digits) > 1 else ():
            left, top, right, bottom = digit.box
            self.canvas.stroke_rect(left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN)
        self.canvas.stroke_style, self.canvas.line_width = PEN, WIDTH

    def predict(self) -> None:
        """Show the prediction for the strokes so far."""
        self.show(self.predictor.number(self.strokes) if self.strokes else Number(()))
        self.answered_at = time.monotonic()

    def show(self, number: Number) -> None:
        """Show what is read, or an empty pad; several digits cannot be labelled."""
        self.number = number
        for name, value in show_answer(number).items():
            getattr(self.view, name).value = value
        for button in (self.view.buttons[0], *self.view.digits):
            button.disabled = len(number.digits) > 1
        for button in self.view.digits:  # the lines of several digits beside them are no bars of theirs
            button.layout.visibility = "hidden" if button.disabled else "visible"

    def say(self, text: str, kind: str = "") -> None:
        """Show a message, which screen readers read aloud."""
        self.view.status.value = status(text, kind)

    @shielded
    def save(self) -> None:
        """Save the drawing; a second time changes nothing."""
        folder, new = self.keep()
        self.say(f"saved: {shown(folder)}" if new else f"already saved: {shown(folder)}", "good")

    @shielded
    def correct(self, label: int) -> None:
        """Save the drawing with the correct digit, for evaluation and fine-tuning."""
        folder, _ = self.keep()
        save_label(folder, label)
        self.say(f"saved as a {label}: {shown(folder)}", "good")

    def keep(self) -> tuple[Path, bool]:
        """Return the drawing's folder, and whether it is new. Raises RunError without ink."""
        self.drawing = False
        self.predict()
        if len(self.number.digits) > 1:
            raise RunError(f"not saved: these are {len(self.number.digits)} digits. Draw one digit alone to save it")
        if self.answer is None:
            raise RunError("nothing to save: draw a digit first")
        self.kept, new = save_drawing(self.run, describe_drawing(self.strokes, self.answer, self.predictor.model))
        return self.kept, new

    @shielded
    def clear(self) -> None:
        """Remove all strokes."""
        self.replace_strokes([])
        self.say("cleared")

    @shielded
    def undo(self) -> None:
        """Remove the last stroke."""
        if not self.strokes:
            self.say("nothing to undo")
            return
        self.replace_strokes(self.strokes[:-1])
        self.say(f"last stroke undone; {len(self.strokes)} left")

    def replace_strokes(self, strokes: list[list[tuple[float, float]]]) -> None:
        """Show other strokes than before."""
        self.strokes, self.drawing, self.kept = strokes, False, None
        self.predict()
        self.redraw()

    @shielded
    def finish(self) -> None:
        """Close the pad: it takes no more strokes."""
        self.say("closed; run the cell again to open a new pad")
        self.closed = True
        self.children = [widgets.HTML(STYLE), self.view.status]


def open_pad(predictor: Predictor, run: Run) -> SketchPad | None:
    """Return a pad that saves drawings in `run`, or None with a printed hint in a headless session."""
    if is_headless():
        print("To draw on the pad, open this notebook in JupyterLab (make lab).")
        return None
    return SketchPad(predictor, run)
