"""Whether a person watches this notebook, or a runner executes it."""

from __future__ import annotations

import os


def is_headless() -> bool:
    """Whether nobody watches: make's runner, papermill and nbclient execute cells; JupyterLab, Notebook 7 and VS Code
    say with each request which cell of the open document it comes from.
    """
    if os.environ.get("MNISTLIB_HEADLESS"):
        return True
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is None or "cellId" not in kernel.get_parent("shell").get("metadata", {})
