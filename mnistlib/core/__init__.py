"""Files, errors, settings and the log: nothing of digits."""
