"""Files, errors, settings and the log; nothing about digits."""
