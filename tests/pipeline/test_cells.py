"""What a stage's seconds are made of."""

import time

from nbformat.v4 import new_code_cell

from mnistlib.pipeline.execute import Cells


def test_seconds_are_split_at_the_cell_of_the_imports():
    cells = Cells(3, time.time() - 1)
    assert list(cells.seconds()) == ["start"]
    for tags in (["parameters"], ["setup"], []):
        cells.start(new_code_cell("1", metadata={"tags": tags}), len(cells.starts))
        time.sleep(0.02)
    begun, (first, setup, after) = time.time(), (moment for moment, _ in cells.starts)
    seconds = cells.seconds()
    assert seconds["imports"] == after - setup
    assert abs(seconds["work"] - (setup - first) - (begun - after)) < 1
    assert seconds["start"] > 0


def test_imports_that_never_end_are_imports():
    cells = Cells(3, time.time() - 1)
    cells.start(new_code_cell("1", metadata={"tags": ["setup"]}), 0)
    time.sleep(0.05)
    seconds = cells.seconds()
    assert seconds["imports"] >= 0.05
    assert abs(seconds["work"]) < 1e-6
