"""TRACKING=mlflow: all of a run arrives in a real MLflow, once; without it MLflow is never imported."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from mnistlib.core.config import flatten
from mnistlib.core.errors import RunError
from mnistlib.pipeline import mlflow_tracking
from mnistlib.runs.layout import Run

LOOPBACK = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@pytest.fixture
def mlflow(monkeypatch):
    if not importlib.util.find_spec("mlflow"):
        pytest.skip("no real MLflow is tried: pip install mlflow")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    import mlflow

    return mlflow


@pytest.fixture
def server(mlflow, tmp_path):
    """The address of a real MLflow server on loopback, which is ended by its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    stored = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/files"]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.split(":")[2]]
    settings = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1", *stored], cwd=tmp_path, env=settings, stdout=log, stderr=log
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/health")
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def logged_runs(mlflow, uri, experiment=mlflow_tracking.EXPERIMENT) -> list:
    client = mlflow.MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def check_whole(mlflow, uri, folder, target) -> None:
    """The one run in MLflow holds what the folder holds."""
    (logged,), client = logged_runs(mlflow, uri), mlflow.MlflowClient(uri)
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "smoke"
    written = yaml.safe_load((folder / "params" / "params.yaml").read_text())
    assert logged.data.params == {name: str(value) for name, value in flatten(written).items()}
    metrics = json.loads((folder / "reports" / "metrics.json").read_text())
    for name, value in metrics.items():
        if isinstance(value, str):
            assert logged.data.tags[name] == value
        else:
            assert logged.data.metrics[name] == value
    status = json.loads((folder / "status" / "03_train.json").read_text())
    assert logged.data.tags["run"] == "smoke"
    assert logged.data.tags["code"] == status["commit"]
    epochs = json.loads((folder / "models" / "history.json").read_text())["epochs"]
    points = client.get_metric_history(logged.info.run_id, "epochs/val_loss")
    assert {point.step: point.value for point in points} == {e["epoch"]: e["val_loss"] for e in epochs}
    client.download_artifacts(logged.info.run_id, "", str(target))
    wanted = [folder / "params" / "params.yaml", folder / "reports" / "metrics.json"]
    wanted += [*folder.glob("notebooks/*.ipynb"), *folder.glob("reports/figures/*.png"), *folder.glob("models/*")]
    assert {"04_evaluate.ipynb", "confusion_matrix.png", "pytorch_mnist_model.pth"} < {path.name for path in wanted}
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert files == {str(path.relative_to(folder)) for path in wanted}
    for path in wanted:
        assert (target / path.relative_to(folder)).read_bytes() == path.read_bytes(), path


def touch_a_stage(folder) -> None:
    """As if a stage had been executed again and left the same."""
    path = folder / "status" / "05_features.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "finished": "2030-01-01 00:00:00"}))


def test_all_of_a_run_arrives_at_a_server_and_is_logged_anew_only_after_a_change(
    made, mlflow, server, tmp_path, monkeypatch
):
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "fetched").mkdir()
    environment = {"TRACKING": "mlflow", "MLFLOW_TRACKING_URI": server, **LOOPBACK}
    assert server in made.make("all", "PARAMS=smoke", **environment).text
    check_whole(mlflow, server, made.run(), tmp_path / "fetched")
    assert "logged before" in made.make("all", "PARAMS=smoke", **environment).text
    assert len(logged_runs(mlflow, server)) == 1
    touch_a_stage(made.run())
    done = made.make("all", "PARAMS=smoke", **environment)
    assert done.stages == []
    assert len(logged_runs(mlflow, server)) == 2
    assert not (made.folder / "runs" / "mlflow.db").exists()


def test_without_a_server_it_stands_in_runs_and_nothing_lies_outside(made, mlflow, tmp_path):
    def outside():
        paths = (path.relative_to(made.folder) for path in made.folder.rglob("*"))
        return {path for path in paths if path.parts[0] != "runs" and "__pycache__" not in path.parts}

    before, uri = outside(), f"sqlite:///{made.folder}/runs/mlflow.db"
    (tmp_path / "fetched").mkdir()
    assert "sqlite:///runs/mlflow.db" in made.make("all", "PARAMS=smoke", "TRACKING=mlflow").text
    check_whole(mlflow, uri, made.run(), tmp_path / "fetched")
    assert outside() == before
    there = {path.name for path in (made.folder / "runs").iterdir()}
    assert there == {"smoke", "index.html", "mlflow.db", "mlflow", ".modules.json"}
    assert "logged before" in made.make("all", "RUN=smoke", "TRACKING=mlflow").text
    assert len(logged_runs(mlflow, uri)) == 1


def test_what_was_cut_short_is_finished_not_begun_again(smoke, mlflow, tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracking.layout, "RUNS", tmp_path)
    run, uri = Run("smoke", smoke.folder / "runs"), f"sqlite:///{tmp_path}/other.db"
    kept = mlflow_tracking.worth_keeping
    monkeypatch.setattr(
        mlflow_tracking, "worth_keeping", lambda run: [*kept(run)[:3], run.folder / "models" / "no such file"]
    )
    with pytest.raises(OSError, match="no such file"):
        mlflow_tracking.log_run(run, uri)
    (begun,) = logged_runs(mlflow, uri)
    assert begun.info.status == "RUNNING"
    monkeypatch.setattr(mlflow_tracking, "worth_keeping", kept)
    assert begun.info.run_id in mlflow_tracking.log_run(run, uri)
    (tmp_path / "fetched").mkdir()
    check_whole(mlflow, uri, run.folder, tmp_path / "fetched")


def test_a_tracker_that_cannot_be_reached_is_said_and_the_run_stays_ok(made, mlflow):
    address = "http://me:secret@127.0.0.1:9"
    done = made.make("all", "PARAMS=smoke", "TRACKING=mlflow", MLFLOW_TRACKING_URI=address, **LOOPBACK)
    assert done.code == 0
    assert "not logged to MLflow at http://127.0.0.1:9: " in done.text
    assert "To log it: TRACKING=mlflow make all RUN=smoke" in done.text
    assert "secret" not in done.text + (made.run() / "run.log").read_text()


@pytest.fixture
def broken(made):
    """The finished smoke project, in it an `mlflow` that cannot be imported."""
    package = made.folder / "mlflow"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('mlflow was imported')\n")
    return made


def test_a_tracker_that_breaks_is_said_and_the_run_stays_ok(broken):
    done = broken.make("all", "PARAMS=smoke", TRACKING="mlflow")
    assert done.code == 0
    assert "ImportError: mlflow was imported" in done.text
    assert "To log it: TRACKING=mlflow make all RUN=smoke" in done.text
    assert json.loads((broken.run() / "status" / "06_infer.json").read_text())["verdict"] == "ok"


def test_without_tracking_nothing_of_it_is_run_or_imported(broken):
    assert "mnistlib track" not in broken.plan("all", "PARAMS=smoke").text
    done = broken.make("all", "PARAMS=smoke")
    assert (done.code, done.stages) == (0, [])
    assert "mlflow" not in done.text
    imports = "import mnistlib.reporting.front_page; from mnistlib.pipeline import execute, resolve, mlflow_tracking"
    said = f"import sys; {imports}; print([name for name in sys.modules if name.startswith('mlflow')])"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True).stdout == "[]\n"


def test_a_stage_alone_is_not_tracked(broken):
    assert "not logged to MLflow" in broken.make("all", "PARAMS=smoke", TRACKING="mlflow").text
    done = broken.make("train", "PARAMS=smoke", TRACKING="mlflow")
    assert (done.code, "MLflow" in done.text) == (0, False)


def test_what_is_missing_is_named(monkeypatch):
    mlflow_tracking.check_tracking("")
    monkeypatch.setattr(mlflow_tracking, "NEEDED", "no_such_package")
    with pytest.raises(RunError, match=r"needs no_such_package, which is not installed: .* -m pip install"):
        mlflow_tracking.check_tracking("mlflow")


@pytest.mark.parametrize("odd", ["wandb", "MLFlow", "$(shell touch owned)", "`touch owned`"])
def test_another_tracker_is_refused_before_anything_is_made(project, command, odd):
    done = command(project, "resolve", PARAMS="smoke", TRACKING=odd)
    assert done.code == 2
    assert f"TRACKING is {odd!r}; it can be mlflow" in done.text
    assert not (project.folder / "runs").exists()
    assert not list(project.folder.rglob("owned"))
