"""A real JupyterLab and a real Chromium, for benchmarks and for the tests of pages."""
