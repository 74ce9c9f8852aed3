"""Read the numbers on a page: cut its ink into digits as the network believes them most, and leave out the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from mnistlib.evaluation.calibration import NOT_LIKE_A_DIGIT
from mnistlib.imaging.cells import Cell, find_cells, turned
from mnistlib.imaging.decoding import decode, full_size
from mnistlib.imaging.framing import frame
from mnistlib.imaging.limits import PictureError
from mnistlib.imaging.ruling import erase_ruling
from mnistlib.imaging.segmentation import Piece, cut, find_lines_of_writing, find_pieces, join, page_ink, typical_height
from mnistlib.imaging.stroke_width import normalize_stroke_width
from mnistlib.inference.prediction import Digit, Number, Page, Prediction

SIDE = 1600  # pixels of a page's longer side
LARGE, SMALL, SPECK = 0.5, 0.45, 0.12  # of the glyphs' height: beginnings of a line, digits, pieces of a digit
DRAWING = 2.5  # of the glyphs' height: a piece both higher and wider is no digit
WIDE = 1.35  # of the glyphs' height: a digit is no wider
GAP = 0.3  # of the glyphs' height, between the pieces of one digit
MOST = 8  # pieces of a digit, or of touching digits
SURE = 0.98  # a piece read with this confidence is not cut, unless it is wide
UNSURE, UNLIKE = 0.7, 1.0  # cost of a rejected reading, in nats, beside its negative log probability
SKIPPED, CUT, APART = 1.2, 0.35, 3.0  # costs: of a small piece left out, of a seam, of a gap of the glyphs' height
BELIEVED = -1.9  # mean quality of a number's digits, above which it is one
UNCLEAR = 0.6  # what is not like a digit, and read with less confidence, is none
STEM = 0.4  # width to height: what is narrower is a doubtful 1 rather than no digit
BROAD = 0.8, 2.0  # of the glyphs' height: wider digits cost so much for each height more
NARROW = 0.7  # of a box's width: one digit in it is narrower
UPRIGHT = 0.2  # nats by which a turned form must be believed more
SPACE = 0.6, 2.0  # a number ends at a gap of this share of the height that is so many times the line's usual one

Classify = Callable[[np.ndarray], Sequence[Prediction]]


@dataclass(frozen=True, eq=False)
class Glyph:
    """A piece of ink with its reading; None where it was left out."""

    piece: Piece
    prediction: Prediction | None


def read_picture(classify: Classify, picture: str | Path | np.ndarray, layout: str = "auto") -> Page:
    """Read a page from a file or its pixels; boxes are in its own pixels. Raises PictureError and ValueError."""
    if isinstance(picture, str | Path):
        try:
            grey, (width, height) = decode(Path(picture), side=SIDE), full_size(Path(picture))
        except PictureError as error:
            raise PictureError(f"{picture} cannot be read: {error}") from error
    else:
        grey = to_luminance(picture)
        height, width = picture.shape[:2]
    page = read_page(classify, grey, layout)
    x, y = width / grey.shape[1], height / grey.shape[0]
    return replace(page, numbers=tuple(Number(tuple(scaled(d, x, y) for d in n.digits)) for n in page.numbers))


def scaled(digit: Digit, x: float, y: float) -> Digit:
    left, top, right, bottom = digit.box
    return replace(digit, box=(int(left * x), int(top * y), round(right * x), round(bottom * y)))


def to_luminance(pixels: np.ndarray) -> np.ndarray:
    """Return pixels uint8 H×W or H×W×3 as luminance of at most SIDE pixels a side. Raises ValueError."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(f"expected uint8 H×W or H×W×3, found {pixels.dtype} {pixels.shape}")
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def read_page(classify: Classify, grey: np.ndarray, layout: str = "auto") -> Page:
    """Read the numbers on a page.

    Args:
        classify: predicts images uint8 N×28×28.
        grey: luminance, uint8 H×W.
        layout: page, boxes, or auto: boxes where there is a form with one digit in a box.

    Returns:
        The page, its boxes in pixels of `grey`.
    """
    ink = page_ink(grey)
    if layout != "page" and (cells := find_cells(ink)) and (layout == "boxes" or is_filled(cells)):
        return read_cells(classify, cells)
    ink = np.clip(erase_ruling(ink, page=True), 0, 255)
    left_out: Counter[str] = Counter()
    lines, height = arrange(find_pieces(ink), left_out)
    glyphs = read_lines(classify, lines, height)
    numbers = [number for line in glyphs for number in split_numbers(line, height, left_out)]
    return Page(tuple(numbers), dict(left_out))


def is_filled(cells: Sequence[Cell]) -> bool:
    """Return whether boxes hold one digit each: some are filled, and what fills them is not wide."""
    shares = [cell.piece.width / (cell.box[2] - cell.box[0]) for cell in cells if cell.piece]
    return len(shares) >= max(3, 0.1 * len(cells)) and bool(np.median(shares) < NARROW)


def read_cells(classify: Classify, cells: Sequence[Cell]) -> Page:
    """Read one digit per box, row by row. A page on its side is turned as the network believes it most."""
    readings = []
    for turns in range(4):
        order = turned(cells, turns)
        answers = iter(classify_pieces(classify, [cell.piece for cell in order if cell.piece]))
        read = [(cell, next(answers) if cell.piece else None) for cell in order]
        believed = float(np.mean([quality(answer) for _, answer in read if answer]))
        readings.append((believed + (UPRIGHT if turns == 0 else 0), turns, read))
    _, _, read = max(readings, key=lambda reading: reading[:2])
    rows = [[one for one in read if one[0].row == row] for row in range(read[-1][0].row + 1)]
    digits = [tuple(Digit(c.box, answer, (c.row, c.column)) for c, answer in row if answer) for row in rows]
    empty = tuple((cell.row, cell.column) for cell, answer in read if not answer)
    return Page(tuple(Number(row) for row in digits if row), {}, empty)


def arrange(pieces: Sequence[Piece], left_out: Counter[str]) -> tuple[list[list[Piece]], float]:
    """Arrange pieces to lines of writing, from left to right, and return these with the glyphs' height."""
    height = typical_height(pieces)
    drawings = [p for p in pieces if p.height > DRAWING * height and p.width > DRAWING * height]
    left_out.update(["drawings"] * len(drawings))
    rest = [p for p in pieces if p not in drawings and max(p.height, p.width) >= SPECK * height]
    lines = find_lines_of_writing([p for p in rest if p.height >= LARGE * height], height)
    for piece in (p for p in rest if p.height < LARGE * height):
        line = nearest_line(piece, lines, height)
        if line is None:
            left_out["specks"] += 1
        else:
            line.append(piece)
    return [sorted(line, key=lambda p: p.middle[0]) for line in lines], height


def nearest_line(piece: Piece, lines: Sequence[list[Piece]], height: float) -> list[Piece] | None:
    """Return the line of writing that a small piece may belong to."""

    def far(other: Piece) -> float:
        across = max(other.left - piece.right, piece.left - other.right, 0)
        down = max(other.top - piece.bottom, piece.top - other.bottom, 0)
        return across + 2 * down

    nearest = [(min(map(far, line)), i) for i, line in enumerate(lines)]
    apart, best = min(nearest, default=(np.inf, 0))
    return lines[best] if apart <= LARGE * height else None


def read_lines(classify: Classify, lines: Sequence[Sequence[Piece]], height: float) -> list[list[Glyph]]:
    """Choose for each line the grouping of its pieces that the network believes most; all lines at once."""
    alone = iter(classify_pieces(classify, [piece for line in lines for piece in line]))
    atoms = [[atom for piece in line for atom in atoms_of(piece, next(alone), height)] for line in lines]
    groups = [candidate_groups(line, height) for line in atoms]
    candidates = [join(line[i:j]) for line, pairs in zip(atoms, groups, strict=True) for i, j in pairs]
    answers = iter(zip(candidates, classify_pieces(classify, candidates), strict=True))
    return [
        best_path(line, {pair: next(answers) for pair in pairs}, height, whole)
        for line, pairs, whole in zip(atoms, groups, lines, strict=True)
    ]


def classify_pieces(classify: Classify, pieces: Sequence[Piece]) -> Sequence[Prediction]:
    """Predict pieces of ink, framed as single digits are."""
    if not pieces:
        return []
    return classify(np.stack([frame(normalize_stroke_width(stretched(piece.ink))) for piece in pieces]))


def stretched(ink: np.ndarray) -> np.ndarray:
    """Stretch a piece's ink to 0…255."""
    return np.clip(ink * (255 / max(float(np.percentile(ink[ink > 0], 90)), 1)), 0, 255)


def atoms_of(piece: Piece, prediction: Prediction, height: float) -> list[Piece]:
    """Return a piece, or its parts where it may be touching digits."""
    wide = piece.width > BROAD[0] * height
    sure = prediction.accepted and prediction.confidence >= SURE
    if piece.height < SMALL * height or piece.width < 0.4 * height or (sure and not wide):
        return [piece]
    return cut(piece, min(piece.height, 1.5 * height))


def candidate_groups(atoms: Sequence[Piece], height: float) -> list[tuple[int, int]]:
    """Return which neighbours, first and behind the last, may be one digit."""
    pairs = []
    for i in range(len(atoms)):
        right = atoms[i].right
        for j in range(i + 1, min(i + MOST, len(atoms)) + 1):
            right = max(right, atoms[j - 1].right)
            apart = atoms[j - 1].left - max(atom.right for atom in atoms[i : j - 1]) if j > i + 1 else 0
            left = min(atom.left for atom in atoms[i:j])
            if j > i + 1 and (right - left > WIDE * height or apart > GAP * height):
                break
            pairs.append((i, j))
    return pairs


def best_path(
    atoms: Sequence[Piece],
    groups: dict[tuple[int, int], tuple[Piece, Prediction]],
    height: float,
    whole: Sequence[Piece],
) -> list[Glyph]:
    """Return the glyphs of the best grouping, by dynamic programming; each piece counts by its size.

    Small pieces may be left out if they are `whole`, not parts of a cut one.
    """
    sizes = [min(max(atom.height, atom.width) / height, 1.0) for atom in atoms]
    best: list[tuple[float, list[Glyph]]] = [(0.0, [])]
    for j in range(1, len(atoms) + 1):
        options: list[tuple[float, int, Prediction | None, Piece]] = [
            (best[i][0] + sum(sizes[i:j]) * quality(prediction) - penalty(atoms[i:j], height), i, prediction, piece)
            for (i, end), (piece, prediction) in groups.items()
            if end == j
        ]
        atom = atoms[j - 1]
        if atom.height < SMALL * height and any(atom is piece for piece in whole):
            options.append((best[j - 1][0] - SKIPPED * sizes[j - 1], j - 1, None, atom))
        score, i, prediction, piece = max(options, key=lambda option: option[0])
        best.append((score, [*best[i][1], Glyph(piece, prediction)]))
    return best[-1][1]


def quality(prediction: Prediction) -> float:
    """Return how far the network believes a reading: its log probability, less what a rejection costs."""
    cost = UNLIKE if prediction.rejection_reason == NOT_LIKE_A_DIGIT else UNSURE
    return float(np.log(prediction.confidence)) - (0.0 if prediction.accepted else cost)


def penalty(atoms: Sequence[Piece], height: float) -> float:
    """Return the cost of one more digit, and of the gaps within it."""
    gaps = [max(0, after.left - before.right) for before, after in pairwise(atoms)]
    width = max(atom.right for atom in atoms) - min(atom.left for atom in atoms)
    return CUT + APART * sum(gaps) / height + BROAD[1] * max(0.0, width / height - BROAD[0])


def split_numbers(line: Sequence[Glyph], height: float, left_out: Counter[str]) -> Iterable[Number]:
    """Split a line into numbers at wide gaps and at what is left out, and leave out what is no number."""
    glyphs: list[Glyph | None] = []
    for glyph in line:
        kind = no_digit(glyph, height)
        left_out.update([kind] if kind else [])
        if not kind or kind == "dashes":
            glyphs.append(None if kind else glyph)
    for number in spaced(glyphs, height):
        if np.mean([quality(glyph.prediction) for glyph in number if glyph.prediction]) > BELIEVED:
            yield Number(tuple(to_digit(glyph) for glyph in number))
        else:
            left_out["not like a digit"] += len(number)


def no_digit(glyph: Glyph, height: float) -> str:
    """Return the kind of what is no digit; empty for a digit."""
    piece, prediction = glyph.piece, glyph.prediction
    if piece.width > 1.6 * piece.height and piece.height < SMALL * height:
        return "dashes"
    if prediction is None or piece.height < SMALL * height:
        return "specks"
    unlike = prediction.rejection_reason == NOT_LIKE_A_DIGIT and prediction.confidence < UNCLEAR
    return "not like a digit" if unlike and piece.width >= STEM * piece.height else ""


def spaced(glyphs: Sequence[Glyph | None], height: float) -> list[list[Glyph]]:
    """Split glyphs at wide gaps, and where None stands."""
    gaps = [b.piece.left - a.piece.right for a, b in pairwise(glyphs) if a and b]
    wide = max(SPACE[0] * height, SPACE[1] * float(np.median(gaps))) if gaps else np.inf
    numbers: list[list[Glyph]] = [[]]
    for glyph in glyphs:
        last = numbers[-1][-1] if numbers[-1] else None
        if glyph is None or (last and glyph.piece.left - last.piece.right > wide):
            numbers.append([])
        if glyph:
            numbers[-1].append(glyph)
    return [number for number in numbers if number]


def to_digit(glyph: Glyph) -> Digit:
    piece = glyph.piece
    assert glyph.prediction is not None
    return Digit((piece.left, piece.top, piece.right, piece.bottom), glyph.prediction)
