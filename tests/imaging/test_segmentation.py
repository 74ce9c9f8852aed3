"""A page's pieces, lines of writing, cuts and printed boxes, on pages drawn here."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from mnistlib.imaging.cells import find_cells
from mnistlib.imaging.segmentation import cut, find_lines_of_writing, find_pieces, page_ink, typical_height


def written(rows: list[list[str]], slope: float = 0.0) -> np.ndarray:
    """Return a page, dark ink on uneven paper, with a text in each place of a grid."""
    light = np.linspace(150, 240, 900, dtype=np.float32)[None].repeat(600, 0)
    ink = np.zeros(light.shape, np.uint8)
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            place = (60 + 120 * column, round(120 + 150 * row + slope * 120 * column))
            cv2.putText(ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 5, cv2.LINE_AA)
    return (light * (1 - 0.7 * ink / 255)).astype(np.uint8)


def test_slanted_lines_are_read_from_top_to_bottom_and_left_to_right():
    for slope in (-0.15, 0.0, 0.15):
        page = written([list("12345"), list("6789"), list("017")], slope)
        for grey in (page, 255 - page):
            pieces = find_pieces(page_ink(grey))
            lines = find_lines_of_writing(pieces, typical_height(pieces))
            assert [len(line) for line in lines] == [5, 4, 3]
            assert all(a.left < b.left for line in lines for a, b in pairwise(line))


def test_a_cut_loses_no_ink_and_separates_touching_glyphs():
    ink = np.zeros((60, 90), np.float32)
    ink[5:55, 10:16] = ink[5:55, 70:76] = 255
    ink[30:33, 10:76] = 255
    (piece,) = find_pieces(ink)
    parts = cut(piece, 50)
    assert len(parts) > 2
    assert sum(float(part.ink.sum()) for part in parts) == float(ink.sum())
    assert max(part.height for part in parts[1:-1]) < 10


def test_boxes_of_a_form_are_found_with_the_empty_ones():
    page = np.full((400, 700), 230, np.uint8)
    for row in range(3):
        for column in range(6):
            corner = (50 + 95 * column + 3 * row, 60 + 95 * row + 4 * column)
            cv2.rectangle(page, corner, (corner[0] + 95, corner[1] + 95), 60, 2)
            if (row + column) % 3:
                cv2.putText(page, "5", (corner[0] + 28, corner[1] + 72), cv2.FONT_HERSHEY_SIMPLEX, 2, 40, 4)
    cells = find_cells(page_ink(page))
    assert [(cell.row, cell.column) for cell in cells] == [(r, c) for r in range(3) for c in range(6)]
    assert [cell.piece is not None for cell in cells] == [bool((r + c) % 3) for r in range(3) for c in range(6)]


def test_a_page_without_a_form_has_no_boxes():
    assert find_cells(page_ink(written([list("80690")]))) == []
    assert find_pieces(page_ink(np.full((300, 400), 200, np.uint8))) == []
