"""Find long, thin, nearly straight lines in a mask.

A line is a chain of short runs of ink across it, as in the removal of staff lines from scores (Dalitz et al. 2008,
https://doi.org/10.1109/TPAMI.2007.70749). Where a stroke crosses the line, the run is long and is not the line's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONG = 0.3  # of the picture: a shorter line is not judged
COVERED = 0.7  # of a line's length holds ink
SLOPE = 0.2
TRIMS = 5
SHORTEST = 8  # columns that a line is fitted to
WAVY = 400  # pixels: a wider picture may be a page, whose lines are not straight


@dataclass(frozen=True, eq=False)
class Line:
    """A nearly horizontal line: its first and last column, its row in each, and the pixels that are the line's alone.

    `share` is the share of its columns with such pixels. Strokes cross the others.

    Of a vertical line, rows and columns are exchanged.
    """

    start: int
    end: int
    rows: np.ndarray
    thickness: float
    share: float
    pixels: tuple[np.ndarray, np.ndarray]

    def middle_at(self, column: float) -> float:
        """Return its row in the column, or in the last one on that side."""
        return float(self.rows[int(np.clip(column, 0, len(self.rows) - 1))])

    @property
    def middle(self) -> float:
        """Return the row of its middle."""
        return self.middle_at((self.start + self.end) / 2)

    @property
    def is_whole(self) -> bool:
        """Return whether it runs from border to border."""
        return self.start <= 1 + len(self.rows) // 50 and self.end >= len(self.rows) - 2 - len(self.rows) // 50


def find_lines(mask: np.ndarray) -> list[Line]:
    """Return the long, thin, nearly straight and nearly horizontal lines of a mask, the longest pieces first."""
    import cv2

    width = mask.shape[1]
    thickest = int(np.clip(0.08 * min(mask.shape), 3, 14))
    runs = run_lengths(mask)
    thin = (mask & (runs <= thickest)).astype(np.uint8)
    flat = cv2.dilate(thin, np.ones((3, 1), np.uint8))
    flat = cv2.morphologyEx(flat, cv2.MORPH_OPEN, np.ones((1, max(5, width // 40)), np.uint8))
    flat[thin == 0] = 0
    joined = cv2.dilate(flat, np.ones((1, thickest | 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    lines: list[Line] = []
    for index in np.argsort(-stats[1:, cv2.CC_STAT_WIDTH]) + 1:
        left, top, wide, high, _ = stats[index]
        if wide < max(LONG * width / 3, 8):
            break
        window = np.s_[top : top + high, left : left + wide]
        rows, columns = np.nonzero((flat[window] > 0) & (labels[window] == index))
        line = follow(rows + top, columns + left, flat, mask, runs)
        if line is not None and not any(follows(line, other) for other in lines):
            lines.append(line)
            flat[line.pixels] = 0
    return lines


def follows(line: Line, other: Line) -> bool:
    """Return whether a line runs along another: strokes that end on it make a second one."""
    apart = np.abs(line.rows - other.rows)[line.start : line.end + 1]
    return other.start <= line.end and line.start <= other.end and float(np.median(apart)) <= other.thickness + 1


def run_lengths(mask: np.ndarray) -> np.ndarray:
    """Return for each pixel the length of the vertical run of ink that holds it, int32 H×W."""
    columns = np.ascontiguousarray(mask.T)
    steps = np.diff(np.pad(columns, ((0, 0), (1, 1))).astype(np.int8).ravel())
    each = np.flatnonzero(steps == -1) - np.flatnonzero(steps == 1)
    lengths = np.zeros(columns.shape, np.int32)
    lengths[columns] = np.repeat(each, each)
    return lengths.T


def follow(rows: np.ndarray, columns: np.ndarray, flat: np.ndarray, mask: np.ndarray, runs: np.ndarray) -> Line | None:
    """Fit a line to the pixels of one piece, extend it over gaps, and return it if it is long, straight and inked."""
    height, width = mask.shape
    if len(columns) < 8:
        return None
    every = np.arange(width)
    thickness = float(np.percentile(runs[rows, columns], 35))
    for _ in range(TRIMS):  # strokes that touch the line lie off the fit
        if len(np.unique(columns)) < SHORTEST:
            return None
        off = np.abs(rows - np.polynomial.Polynomial.fit(columns, rows, 1)(columns))
        near = off <= max(thickness, np.percentile(off, 75))
        rows, columns = rows[near], columns[near]
    for last in (False, False, True):
        if len(np.unique(columns)) < SHORTEST:
            return None
        degree = 1 + (np.ptp(columns) > width / 3) + (np.ptp(columns) > 2 * width / 3)
        curve = np.polynomial.Polynomial.fit(columns, rows, degree)(every)
        if last and width > WAVY:
            curve += local_offset(rows - curve[columns], columns, width)
        band = np.rint(curve).astype(int) + np.arange(-int(thickness / 2 + 1.5), int(thickness / 2 + 1.5) + 1)[:, None]
        inside = (band >= 0) & (band < height)
        band = band.clip(0, height - 1)
        inked = (inside & mask[band, every]).any(0)
        start, end = stretch(inked, int(columns.min()), int(columns.max()), int(max(3 * thickness, width // 16)))
        inside[:, :start] = inside[:, end + 1 :] = False
        found = np.nonzero(inside & (flat[band, every] > 0))
        if len(found[0]) < 8:
            return None
        rows, columns = band[found], found[1]
        thickness = float(np.percentile(runs[rows, columns], 35))
    slope = np.abs(curve[end] - curve[start]) / max(end - start, 1)
    long = end - start >= max(LONG * width, 5 * thickness)
    if (
        not long
        or slope > SLOPE
        or inked[start : end + 1].mean() < COVERED
        or not is_straight(rows, columns, thickness)
    ):
        return None
    alone = inside & (runs[band, every] <= thickness + max(1, 0.4 * thickness))
    share = float((alone & mask[band, every]).any(0)[start : end + 1].mean())
    places = np.nonzero(alone)
    return Line(start, end, curve, thickness, share, (band[places], places[1]))


def local_offset(residuals: np.ndarray, columns: np.ndarray, width: int) -> np.ndarray:
    """Return by how much the pixels near each column lie off the curve, which paper that waves needs."""
    counts = np.bincount(columns, minlength=width)
    known = np.flatnonzero(counts)
    every = np.interp(np.arange(width), known, np.bincount(columns, residuals, width)[known] / counts[known])
    reach = width // 40
    return np.convolve(np.pad(every, reach, mode="edge"), np.full(2 * reach + 1, 1 / (2 * reach + 1)), "valid")


def stretch(inked: np.ndarray, start: int, end: int, widest: int) -> tuple[int, int]:
    """Extend start and end over gaps in the inked columns that are not wide, each to a piece twice as long."""
    steps = np.diff(np.pad(inked, 1).astype(np.int8))
    pieces = list(zip(np.flatnonzero(steps == 1).tolist(), (np.flatnonzero(steps == -1) - 1).tolist(), strict=True))
    for first, last in pieces:
        if last > end and first - end <= min(widest, (last - first + 1) // 2) + 1:
            end = last
    for first, last in pieces[::-1]:
        if first < start and start - last <= min(widest, (last - first + 1) // 2) + 1:
            start = first
    return start, end


def is_straight(rows: np.ndarray, columns: np.ndarray, thickness: float) -> bool:
    """Return whether pixels lie along a straight line or a slight curve, and not along a bow."""
    fit = np.polynomial.Polynomial.fit(columns, rows, 1)(columns)
    return float(np.abs(rows - fit).max()) <= thickness + 1 + 0.03 * np.ptp(columns)
