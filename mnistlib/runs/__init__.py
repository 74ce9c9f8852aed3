"""A run's folder, and what is true of it."""
