"""Datasets: obtained, checked, split, augmented and synthesised."""
