"""Frame ink in 28×28 pixels as MNIST's makers did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

SIZE = 28
BOX = 20
PEN = 2.7
FINER = 8
A_POINT = 1e-300  # in any unit: a smaller drawing is a dot
THINNINGS, ASIDE = 3, 0.25  # passes; page pixels, a thirtieth of the picture's

Stroke = Sequence[Sequence[float]] | np.ndarray


def frame(image: np.ndarray) -> np.ndarray:
    """Frame a picture of one digit as MNIST's makers did.

    The ink's bounding box, widened to a square, is averaged into 20×20 pixels and placed in 28×28 with its barycentre
    in the middle (https://github.com/facebookresearch/qmnist, `making_qmnist/xnist.lsh`).

    Args:
        image: H×W, uint8 or float in 0…255, ink bright on 0.

    Returns:
        uint8 28×28; all 0 without ink.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError(f"expected finite H×W pixels, found shape {pixels.shape}")
    rows, columns = np.flatnonzero(pixels.max(1) > 0), np.flatnonzero(pixels.max(0) > 0)
    if not len(rows):
        return np.zeros((SIZE, SIZE), np.uint8)
    square = to_square(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return centre(np.asarray(Image.fromarray(square).resize((BOX, BOX), Image.Resampling.BOX)))


def rasterize(strokes: Sequence[Stroke], pen: float = PEN) -> np.ndarray:
    """Draw strokes as MNIST's makers would have scanned and framed them.

    Args:
        strokes: each a sequence of (x, y), y down, in any unit and at any place. Points are joined by a round pen; a
            single point is a dot.
        pen: width of the pen in pixels of the result, however large the drawing.

    Returns:
        uint8 28×28; all 0 without any point.

    Raises:
        ValueError: coordinates that are not finite pairs.
    """
    paths = [path for path in map(as_path, strokes) if len(path)]
    if not paths:
        return np.zeros((SIZE, SIZE), np.uint8)
    low = np.min([path.min(0) for path in paths], axis=0)
    high = np.max([path.max(0) for path in paths], axis=0)
    middle, half = low / 2 + high / 2, float((high / 2 - low / 2).max())  # halves, because the sum may overflow
    scale = FINER * (BOX - pen) / half if half > A_POINT else 0.0
    page = Image.new("L", (BOX * FINER, BOX * FINER))
    pencil = ImageDraw.Draw(page)
    for path in paths:
        draw_path(pencil, np.round((path / 2 - middle / 2) * scale + BOX * FINER / 2, 4), pen * FINER)
    return centre(np.asarray(page.resize((BOX, BOX), Image.Resampling.BOX)))


def as_path(stroke: Stroke) -> np.ndarray:
    """Return a stroke as float64 N×2. Raises ValueError for anything else."""
    path = np.asarray(stroke, np.float64)
    if path.size == 0:
        return np.empty((0, 2))
    if path.ndim != 2 or path.shape[1] != 2 or not np.isfinite(path).all():
        raise ValueError(f"a stroke is a sequence of finite (x, y); found an array of shape {path.shape}")
    return path


def draw_path(pencil: ImageDraw.ImageDraw, path: np.ndarray, width: float) -> None:
    """Draw a stroke N×2 in page pixels with round ends and joins; points closer than a page pixel are skipped."""
    grid = np.rint(path)
    keep = np.append(True, (np.diff(grid, axis=0) != 0).any(1))
    points = simplify(path[keep])
    if len(points) > 1:
        pencil.line([tuple(p) for p in points], fill=255, width=round(width))
    for i, (x, y) in enumerate(points):
        radius = width / 2 if i in (0, len(points) - 1) else width / 2 - 1  # joints lie inside the line
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def simplify(points: np.ndarray) -> np.ndarray:
    """Remove every other point of N×2 that lies on the line between its neighbours; a fast pen leaves many."""
    for _ in range(THINNINGS):
        before, here, after = points[:-2:2], points[1:-1:2], points[2::2]
        way, gone = after - before, here - before
        share = np.clip((way * gone).sum(1) / np.maximum((way * way).sum(1), 1e-9), 0, 1)
        aside = gone - share[:, None] * way
        keep = np.ones(len(points), bool)
        keep[1:-1:2] = (aside * aside).sum(1) > ASIDE**2
        points = points[keep]
    return points


def centre(box: np.ndarray) -> np.ndarray:
    """Place 20×20 intensities in 0…255 in uint8 28×28, with their barycentre in the middle."""
    small = np.clip(np.rint(box), 0, 255)
    framed = np.zeros((SIZE, SIZE), np.uint8)
    if small.any():
        top, left = (int(SIZE / 2 + 1 - b) for b in barycentre(small))
        put(framed, small.astype(np.uint8), top, left)
    return framed


def to_square(ink: np.ndarray) -> np.ndarray:
    """Place the ink in the middle of a square of side max(h, w), float32."""
    side = max(ink.shape)
    square = np.zeros((side, side), np.float32)
    top, left = (side - ink.shape[0]) // 2, (side - ink.shape[1]) // 2
    square[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return square


def barycentre(ink: np.ndarray) -> tuple[float, float]:
    """Return (row, column) of the intensity's centre; a pixel's own centre lies at +0.5."""
    total = ink.sum(dtype=np.float64)
    row = (ink.sum(1, dtype=np.float64) @ (np.arange(ink.shape[0]) + 0.5)) / total
    column = (ink.sum(0, dtype=np.float64) @ (np.arange(ink.shape[1]) + 0.5)) / total
    return float(row), float(column)


def put(canvas: np.ndarray, small: np.ndarray, top: int, left: int) -> None:
    """Write `small` into `canvas` in place; what falls outside is cut off."""
    low, right = min(top + BOX, SIZE), min(left + BOX, SIZE)
    first, start = max(top, 0), max(left, 0)
    canvas[first:low, start:right] = small[first - top : low - top, start - left : right - left]
