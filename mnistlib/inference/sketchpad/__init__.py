"""A pad to draw digits on, in JupyterLab, Notebook 7 and VS Code."""
