"""Benchmarks: `make bench` runs them, docs/benchmarks.md holds the results."""
