"""A pad to draw digits on, in JupyterLab, Notebook 7 and VS Code."""

from mnistlib.sketchpad.pad import SketchPad, open_pad

__all__ = ["SketchPad", "open_pad"]
