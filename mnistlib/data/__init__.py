"""Obtain, check, split, augment and synthesize datasets."""
