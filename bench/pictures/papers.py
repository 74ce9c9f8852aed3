"""What people write on, and what a camera makes of it: paper, lines, boxes, shadows, tables, screens and noise.

A paper takes the random numbers and a function that draws the digit (coverage 0…1, square); it returns the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

Rng = np.random.Generator
Ink = Callable[..., np.ndarray]
Paper = Callable[[Rng, Ink], np.ndarray]

BALL_PEN = (0.025, 0.06)
BLUE, BLACK = (40, 50, 130), (35, 35, 40)
PRINTS = (150, 175, 205), (110, 130, 165)


def composed(paper: np.ndarray, coverage: np.ndarray, color: tuple[int, ...]) -> np.ndarray:
    """Lay ink of one color over a paper, float32 H×W×3."""
    share = coverage[..., None]
    return paper * (1 - share) + np.array(color, np.float32) * share


def sheet(rng: Rng, side: int = 280, low: int = 225) -> np.ndarray:
    """Return an off-white sheet of paper with a little grain."""
    tint = rng.uniform(low, 252) + rng.uniform(-6, 6, 3)
    grain = rng.normal(0, 1.5, (side, side, 1))
    return (tint + grain).astype(np.float32)


def taken(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def pen_color(rng: Rng) -> tuple[int, ...]:
    return BLUE if rng.random() < 0.5 else BLACK


def ball_pen(draw: Ink, rng: Rng, **how: float) -> np.ndarray:
    return draw(pen=rng.uniform(*BALL_PEN), **how)


def ruled(rng: Rng, draw: Ink, gap: float = 0.45, upright: bool = False) -> np.ndarray:
    """Paper with printed lines; at least one crosses the digit, because the gap is smaller than the digit."""
    paper, side = sheet(rng), 280
    width = int(rng.integers(1, 3))
    gap = side * gap * rng.uniform(0.8, 1.0)
    lines = np.zeros((side, side), np.uint8)
    slant = rng.uniform(-0.02, 0.02) * side
    for at in np.arange(rng.uniform(0, gap), side, gap):
        cv2.line(lines, (0, round(at)), (side, round(at + slant)), 255, width, cv2.LINE_AA)
    if upright:
        for at in np.arange(rng.uniform(0, gap), side, gap):
            cv2.line(lines, (round(at), 0), (round(at - slant), side), 255, width, cv2.LINE_AA)
    paper = composed(paper, lines.astype(np.float32) / 255, PRINTS[rng.integers(2)])
    return taken(composed(paper, ball_pen(draw, rng, fill=0.6), pen_color(rng)))


def squared(rng: Rng, draw: Ink) -> np.ndarray:
    """Squared paper, about three squares to a digit."""
    return ruled(rng, draw, 0.2, upright=True)


def boxed(rng: Rng, draw: Ink, outside: bool = False) -> np.ndarray:
    """In the printed box of a form; with `outside`, one or two of its sides lie outside the picture."""
    paper, side = sheet(rng), 280
    low, high = (round(side * rng.uniform(*place)) for place in ((0.04, 0.09), (0.91, 0.96)))
    corners = np.array([[low, low], [high, high]])
    if outside:
        corners[rng.integers(2), rng.integers(2)] = rng.choice((-20, 300))
    frame = np.zeros((side, side), np.uint8)
    cv2.rectangle(frame, corners[0].tolist(), corners[1].tolist(), 255, int(rng.integers(2, 6)), cv2.LINE_AA)
    paper = composed(paper, frame.astype(np.float32) / 255, (60, 60, 60) if rng.random() < 0.7 else PRINTS[0])
    return taken(composed(paper, draw(fill=0.55), pen_color(rng)))


def touching_box(rng: Rng, draw: Ink) -> np.ndarray:
    """In a printed box that the digit touches or crosses."""
    paper, side = sheet(rng), 280
    frame = np.zeros((side, side), np.uint8)
    cv2.rectangle(frame, (50, 50), (230, 230), 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    paper = composed(paper, frame.astype(np.float32) / 255, (90, 90, 90))
    return taken(composed(paper, ball_pen(draw, rng, fill=0.64), pen_color(rng)))


def circled(rng: Rng, draw: Ink) -> np.ndarray:
    """With a ring drawn around it by the same pen."""
    coverage = draw(fill=0.38, pen=0.08)
    ring = np.zeros(coverage.shape, np.uint8)
    cv2.ellipse(ring, (140, 140), (118 + int(rng.integers(-6, 6)), 118), 0, 0, 360, 255, 9, cv2.LINE_AA)
    return taken(composed(sheet(rng), np.maximum(coverage, ring / np.float32(255)), pen_color(rng)))


def shadow(rng: Rng, draw: Ink) -> np.ndarray:
    """A shadow's soft or hard edge falls across, and the light fades to one side."""
    picture = composed(sheet(rng), draw(fill=0.6), pen_color(rng))
    return taken(picture * lighting(rng, 280, rng.uniform(0.4, 0.65)))


def lighting(rng: Rng, side: int, darkest: float) -> np.ndarray:
    """Return a factor side×side×1 in darkest…1: a slope, and a shadow with an edge."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    along = x * np.cos(angle) + y * np.sin(angle)
    edge = 1 / (1 + np.exp(-(along - rng.uniform(-0.2, 0.2)) / rng.choice((0.02, 0.08, 0.25))))
    return (darkest + (1 - darkest) * (0.8 * edge + 0.2 * (along + 0.7) / 1.4).clip(0, 1))[..., None]


def phone(rng: Rng, draw: Ink) -> np.ndarray:
    """A phone's photograph: tinted paper, fading light, a little blur and noise."""
    side = int(rng.integers(400, 1000))
    tint = (rng.uniform(150, 210) + rng.uniform(-15, 15, 3)).astype(np.float32)
    coverage = ball_pen(draw, rng, side=side, fill=rng.uniform(0.35, 0.7)) * rng.uniform(0.6, 0.95)
    picture = composed(np.broadcast_to(tint, (side, side, 3)), coverage, BLUE) * lighting(rng, side, 0.75)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, side / 400))
    return taken(picture + rng.normal(0, rng.uniform(1, 5), picture.shape))


def table(rng: Rng, draw: Ink) -> np.ndarray:
    """A sheet on a darker table, photographed at an angle."""
    side = 600
    wood = rng.uniform(30, 110) * np.array([1.0, rng.uniform(0.75, 1), rng.uniform(0.55, 1)])
    stripes = cv2.GaussianBlur(rng.normal(0, 18, (side, 1, 1)).repeat(side, 1), (0, 0), 3)[..., None]
    picture = (wood + stripes).astype(np.float32)
    written = composed(sheet(rng), draw(fill=rng.uniform(0.4, 0.65)), pen_color(rng))
    size = side * rng.uniform(0.5, 0.75)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2 + rng.uniform(-0.04, 0.04, (4, 2)) * side
    turned = square @ cv2.getRotationMatrix2D((0, 0), rng.uniform(-10, 10), 1)[:, :2].T + side / 2
    source = np.array([[0, 0], [279, 0], [279, 279], [0, 279]], np.float32)
    warp = cv2.getPerspectiveTransform(source, turned.astype(np.float32))
    cv2.warpPerspective(written, warp, (side, side), picture, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return taken(cv2.GaussianBlur(picture * lighting(rng, side, 0.8), (0, 0), 0.8))


def screen(rng: Rng, draw: Ink) -> np.ndarray:
    """A screenshot of a drawing program: a canvas, white or black, in a gray page with a bar of buttons."""
    width, height = 280 + int(rng.integers(60, 300)), 280 + int(rng.integers(60, 300))
    page = np.full((height, width, 3), rng.choice((40, 90, 190, 225, 240)), np.float32)
    x, y = int(rng.integers(20, width - 299)), int(rng.integers(20, height - 299))
    dark = rng.random() < 0.4
    canvas = composed(np.full((280, 280, 3), 0 if dark else 255, np.float32), draw(), (255,) * 3 if dark else (0,) * 3)
    page[y : y + 280, x : x + 280] = canvas
    return taken(page)


def faint(rng: Rng, draw: Ink, uneven: bool = False) -> np.ndarray:
    """Pencil: little darker than the paper; with `uneven`, the pressure changes along the way."""
    coverage, side = draw(fill=0.65, pen=rng.uniform(0.03, 0.08)), 280
    pressure = rng.uniform(0.12, 0.3)
    if uneven:
        cloud = cv2.resize(rng.random((7, 7), np.float32), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        pressure = 0.12 + 0.7 * cloud**2
    return taken(composed(sheet(rng, low=235), coverage * pressure, BLACK))


def same_lightness(rng: Rng, draw: Ink) -> np.ndarray:
    """Ink and paper of one lightness and of different hues: red on green, blue on brown, and the other way round."""
    pairs = (((200, 40, 40), (30, 118, 40)), ((30, 90, 220), (130, 88, 20)), ((190, 40, 160), (40, 110, 110)))
    color, paper = pairs[rng.integers(len(pairs))][:: rng.choice((1, -1))]
    wobble = rng.uniform(-12, 12, 3)
    return taken(composed(np.full((280, 280, 3), paper, np.float32) + wobble, draw(pen=rng.uniform(0.05, 0.12)), color))


def colored(rng: Rng, draw: Ink) -> np.ndarray:
    """Colored ink on colored paper or a sticky note."""
    papers, inks = (
        ((250, 235, 110), (255, 190, 200), (170, 220, 240), (190, 235, 170)),
        ((200, 30, 40), (20, 110, 50), BLUE),
    )
    paper, color = papers[rng.integers(len(papers))], inks[rng.integers(len(inks))]
    return taken(composed(sheet(rng, low=250) - 250 + np.array(paper, np.float32), draw(fill=0.6), color))


def blackboard(rng: Rng, draw: Ink) -> np.ndarray:
    """Chalk, grained and smeared, on a board."""
    side = 400
    board = (np.array((45, 70, 60)) + rng.uniform(-15, 15)).astype(np.float32)
    smear = cv2.GaussianBlur(rng.normal(0, 60, (side, side, 1)).astype(np.float32), (0, 0), 20)[..., None]
    coverage = draw(side=side, fill=0.6, pen=rng.uniform(0.05, 0.1)) * rng.uniform(0.6, 1.0, (side, side))
    return taken(composed(board + smear, coverage.astype(np.float32), (225, 225, 220)))


def whiteboard(rng: Rng, draw: Ink) -> np.ndarray:
    """A marker on a shining board: a lamp's reflection, and traces of what was wiped off."""
    side = 500
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - rng.uniform(0, 1, (2, 1, 1)).astype(np.float32)
    board = 185 + 60 * np.exp(-(x * x + y * y) / 0.05)[..., None] * np.ones(3, np.float32)
    wiped = cv2.GaussianBlur(rng.normal(0, 40, (side, side)).astype(np.float32), (0, 0), 12)[..., None]
    color = ((30, 60, 160), (170, 40, 40), (30, 110, 60), (40, 40, 40))[rng.integers(4)]
    return taken(composed(board + wiped, draw(side=side, fill=0.55, pen=rng.uniform(0.04, 0.08)), color))


def noisy(rng: Rng, draw: Ink) -> np.ndarray:
    """Strong noise of a sensor in the dark."""
    picture = composed(sheet(rng, 280, 200), draw(fill=0.6), pen_color(rng))
    return taken(picture * 0.7 + rng.normal(0, rng.uniform(10, 30), picture.shape))


def blurred(rng: Rng, draw: Ink) -> np.ndarray:
    """Out of focus, or moved."""
    return taken(cv2.GaussianBlur(composed(sheet(rng), draw(fill=0.6), pen_color(rng)), (0, 0), rng.uniform(3, 7)))


def simple(rng: Rng, draw: Ink) -> np.ndarray:
    """Ink on a sheet and nothing else."""
    return taken(composed(sheet(rng), draw(fill=0.6), pen_color(rng)))


PAPERS: dict[str, Paper] = {
    "sheet": simple,
    "JPEG, quality 20": simple,
    "ruled paper": ruled,
    "squared paper": squared,
    "printed box": boxed,
    "box, partly outside": partial(boxed, outside=True),
    "box, touched": touching_box,
    "ring around it": circled,
    "shadow": shadow,
    "phone": phone,
    "sheet on a table": table,
    "canvas in a screenshot": screen,
    "faint ink": faint,
    "uneven ink": partial(faint, uneven=True),
    "ink and paper of one lightness": same_lightness,
    "colored ink and paper": colored,
    "blackboard": blackboard,
    "whiteboard": whiteboard,
    "noise": noisy,
    "blur": blurred,
}
QUALITY = {"JPEG, quality 20": 20, "phone": 85, "sheet on a table": 85, "shadow": 90, "whiteboard": 80}
