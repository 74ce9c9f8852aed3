"""A notebook's cells as they run: told in the log, and the seconds that they take by phase."""

from __future__ import annotations

import time
from typing import Any

from mnistlib.log import log_place


class Cells:
    """Told of each of `count` cells as it starts; says so in the log, and knows afterwards what they took.

    `began`: when the stage did, seconds since 1970.
    """

    def __init__(self, count: int, began: float) -> None:
        self.count, self.began = count, began
        self.starts: list[tuple[float, bool]] = []  # seconds since 1970, and whether it is the cell of the imports

    def start(self, cell: Any, cell_index: int) -> None:
        """A cell of any kind begins: what nbclient calls `on_cell_start`."""
        self.starts.append((time.time(), "setup" in cell.metadata.get("tags", [])))
        if cell.cell_type == "code":
            # with the cell of the given parameters put in before, papermill's index is the place in the notebook
            log_place(f"cell {max(1, cell_index)} of {self.count}")

    def seconds(self) -> dict[str, float]:
        """Seconds until now of start-up, imports and work; of start-up alone before any cell."""
        now = time.time()
        if not self.starts:
            return {"start": now - self.began}
        first = self.starts[0][0]
        ends = [*(moment for moment, _ in self.starts[1:]), now]
        imports = sum(end - moment for (moment, is_setup), end in zip(self.starts, ends, strict=True) if is_setup)
        return {"start": first - self.began, "imports": imports, "work": now - first - imports}
