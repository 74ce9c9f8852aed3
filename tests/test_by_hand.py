"""The notebooks as people run them: Run All in Lab, in order, and plain papermill. With a real kernel."""

import json
import os
import subprocess
import sys

import pytest

from mnistlib.runs.stages import STAGES

FALLBACK = {"MNIST_DIR": "", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def run_by_hand(project, code: str) -> None:
    """Run Python in the notebooks' folder, as Lab's kernels do, with the project found as `make lab` says."""
    environment = {**os.environ, **FALLBACK, "PYTHONPATH": str(project.folder)}
    folder = project.folder / "notebooks"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_run_all_in_order_works_in_runs_lab_and_leaves_the_notebooks_as_they_were(project):
    before = {stage.name: (project.folder / "notebooks" / f"{stage.name}.ipynb").read_bytes() for stage in STAGES}
    for stage in STAGES:
        run_by_hand(
            project,
            "import nbformat, nbclient\n"
            f"notebook = nbformat.read('{stage.name}.ipynb', as_version=4)\n"
            "nbclient.NotebookClient(notebook, timeout=600, kernel_name='python3').execute()",
        )
        assert (project.folder / "notebooks" / f"{stage.name}.ipynb").read_bytes() == before[stage.name]
    lab = project.run("lab")
    assert (lab / "models" / "pytorch_mnist_model.pth").is_file()
    assert (lab / "data" / "inference" / "predictions.csv").is_file()
    assert [f.name for f in (project.folder / "runs").iterdir() if f.name != "data"] == ["lab"]

    environment = {**os.environ, **FALLBACK}
    command = [sys.executable, "-m", "papermill", "notebooks/03_train.ipynb", "out.ipynb", "-p", "epochs", "1"]
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(json.loads((lab / "models" / "history.json").read_text())["epochs"]) == 1
    assert json.loads((lab / "metrics" / "03_train.json").read_text())["epochs"] == 1
