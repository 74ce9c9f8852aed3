"""The folder of a run, and which of its results are current."""
