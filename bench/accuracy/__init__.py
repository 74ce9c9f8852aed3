"""Accuracy: profiles over seeds, ensembles, drawings, and the tutorial recipe to compare with."""
