"""Synthetic digits: pen-stroke templates of many ways to write a digit, varied at random as if by many writers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mnistlib.data.datasets import are_digits
from mnistlib.data.pen_strokes import digit_templates
from mnistlib.imaging.framing import BOX, Stroke, centre, rasterize

STEPS = 12  # points of a curve between two points of a template
HARD, UNUSUAL = 0.15, 0.12  # shares of the drawings
HARD_PENS = (1, 1, 1, 2, 3)  # pixels


def synthesize(count: int, classes: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw synthetic digits, with every digit and every variant of it equally frequent.

    Args:
        count: number of pictures.
        classes: names of the dataset's classes; other classes than the ten digits get no pictures.
        seed: the same seed gives the same pictures.

    Returns:
        Images uint8 N×28×28 and labels uint8 N.
    """
    noise = np.random.default_rng(seed)
    templates = digit_templates()
    count = count if are_digits(classes) else 0
    labels = noise.permutation(np.arange(count) % len(templates)).astype(np.uint8)
    images = np.zeros((count, 28, 28), np.uint8)
    for i, label in enumerate(labels):
        variants = list(templates[int(label)].values())
        images[i] = draw_variant(variants[noise.integers(len(variants))], noise)
    return images, labels


def examples() -> list[list[np.ndarray]]:
    """Return three drawings as in a copybook: a one with flag and foot, a barred seven, a nine like a g.

    Returns:
        For each drawing its strokes: float64 N×2 arrays of (x, y), y down, in a box of about 60 × 100.
    """
    chosen = ((1, "flag and foot"), (7, "hooked and barred"), (9, "like a g"))
    return [[smooth(stroke) for stroke in digit_templates()[digit][name]] for digit, name in chosen]


def draw_variant(template: Sequence[np.ndarray], noise: np.random.Generator) -> np.ndarray:
    """Draw a random version of a template, strokes N×2, with a random pen: uint8 28×28.

    Most pens are soft and as wide as MNIST's; some are much thinner or thicker, and some are hard, without soft edges,
    as in a paint program.
    """
    moved = [stroke + keep_corners(stroke, noise.normal(0, 3.5, stroke.shape)) for stroke in template]
    strokes = warp([smooth(stroke) for stroke in moved], 1.0, noise)
    kind, usual, unusual = noise.random(), noise.uniform(1.8, 3.6), noise.uniform(1.0, 4.6)
    if kind < HARD:
        return draw_hard(strokes, pen=int(noise.choice(HARD_PENS)))
    return rasterize(strokes, unusual if kind < HARD + UNUSUAL else usual)


def draw_hard(strokes: Sequence[np.ndarray], pen: int) -> np.ndarray:
    """Draw strokes N×2 with a pen of whole pixels that knows no grey: uint8 28×28."""
    points = np.concatenate(strokes)
    low, extent = points.min(0), np.ptp(points, axis=0)
    scale, page = (BOX - pen) / extent.max(), Image.new("L", (BOX, BOX))
    for stroke in strokes:
        on_page = (stroke - low - extent / 2) * scale + (BOX - 1) / 2
        ImageDraw.Draw(page).line([tuple(point) for point in np.rint(on_page)], fill=255, width=pen, joint="curve")
    return centre(np.asarray(page))


def vary_drawing(strokes: Sequence[Stroke], noise: np.random.Generator) -> np.ndarray:
    """Draw a person's strokes again with small random changes, as the same hand might.

    Args:
        strokes: each a sequence of (x, y), y down, in any unit.
        noise: source of the random changes.

    Returns:
        uint8 28×28.
    """
    paths = [np.array(stroke, float) for stroke in strokes if len(stroke)]
    extent = max(float(np.ptp(np.concatenate(paths), axis=0).max()), 1e-9)
    return rasterize(warp([path * (100 / extent) for path in paths], 0.4, noise), pen=noise.uniform(2.2, 3.2))


def corner_points(stroke: np.ndarray) -> np.ndarray:
    """Return the second index of each point that occurs twice in a row."""
    return np.flatnonzero((np.diff(stroke, axis=0) == 0).all(1)) + 1


def keep_corners(stroke: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """Move both points of a corner by the same amount, in place."""
    corners = corner_points(stroke)
    wobble[corners] = wobble[corners - 1]
    return wobble


def smooth(points: np.ndarray) -> np.ndarray:
    """Return a curve through the points N×2, with a corner where a point occurs twice."""
    return np.concatenate([curve(piece) for piece in np.split(points, corner_points(points))])


def curve(points: np.ndarray) -> np.ndarray:
    """Return a Catmull-Rom spline through the points N×2, `STEPS` points to each segment.

    Catmull & Rom 1974, https://doi.org/10.1016/B978-0-12-079050-0.50020-5.
    """
    if len(points) < 3:
        return points
    around = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = around[:-3], around[1:-2], around[2:-1], around[3:]
    t = np.linspace(0, 1, STEPS, endpoint=False)[:, None, None]
    pieces = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([pieces.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def warp(strokes: list[np.ndarray], strength: float, noise: np.random.Generator) -> list[np.ndarray]:
    """Apply random slant, proportions, rotation, wobble and gaps between strokes; strokes are about 100 high."""
    turn, slant = strength * noise.normal(0, 0.1), strength * noise.normal(0.1, 0.3)
    wide = np.exp(strength * noise.normal(0, 0.25))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    form = turned @ np.array([[wide, -slant], [0.0, 1.0]])
    waves, phases = strength * noise.normal(0, 1.2, (2, 2)), noise.uniform(0, 2 * np.pi, (2, 2))
    warped = []
    for stroke in strokes:
        along = np.linspace(0, 2 * np.pi, len(stroke))[:, None]
        wobble = waves[0] * np.sin(along + phases[0]) + waves[1] * np.sin(2 * along + phases[1])
        warped.append((stroke + wobble + strength * noise.normal(0, 2.5, 2)) @ form.T)
    return warped
