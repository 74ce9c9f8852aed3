"""Figures: each function returns one and neither saves nor shows it."""
