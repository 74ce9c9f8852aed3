"""The whole pipeline on the smoke profile, and what a second make executes after each kind of change."""

import csv
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

STAGES = ["01_data", "02_preprocess", "03_train", "04_evaluate", "05_features", "06_infer"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_first_run_executes_every_stage_and_ends_with_the_headline(smoke):
    text = (smoke.folder / "first.txt").read_text()
    assert [line.split()[1] for line in text.splitlines() if line.startswith("── ")] == STAGES
    assert "test accuracy" in text
    assert text.rstrip().endswith("runs/smoke/reports/index.html")


def test_everything_a_run_promises_is_there(smoke):
    run = smoke.run()
    for name in (
        "params/params.yaml", "models/pytorch_mnist_model.pth", "models/model.json", "models/calibration.json",
        "reports/embeddings/embeddings.npz", "reports/figures/confusion_matrix.png", "reports/figures/tsne_plot.png",
        "reports/figures/pca_plot.png", "reports/data_validation.json", "data/inference/predictions.csv",
        "reports/index.html", "run.log",
    ):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    for stage in STAGES:
        assert (run / "notebooks" / f"{stage}.ipynb").is_file()
        assert (run / "reports" / f"{stage}.html").is_file()
        assert json.loads((run / "status" / f"{stage}.json").read_text())["verdict"] == "ok"
    assert not list(run.rglob("*.part*"))


def test_metrics_are_whole_and_agree_with_the_kept_predictions(smoke):
    metrics = json.loads((smoke.run() / "reports" / "metrics.json").read_text())
    needed = (
        "dataset test_accuracy test_errors test_count test_nll test_ece val_accuracy train_seconds model_parameters"
    )
    assert not set(needed.split()) - set(metrics)
    with np.load(smoke.run() / "reports" / "test_predictions.npz") as kept:
        wrong = int((kept["logits"].argmax(1) != kept["labels"]).sum())
    assert (metrics["test_errors"], metrics["test_count"]) == (wrong, 360)
    assert metrics["test_accuracy"] == pytest.approx(1 - wrong / 360)
    assert metrics["test_accuracy"] > 0.93
    assert metrics["val_accuracy"] > 0.9
    assert metrics["model_parameters"] > 10_000


def test_embeddings_have_their_arrays(smoke):
    with np.load(smoke.run() / "reports" / "embeddings" / "embeddings.npz") as kept:
        assert kept["embeddings"].dtype == np.float32
        assert kept["embeddings"].shape == (360, 64)
        assert len(kept["labels"]) == len(kept["predictions"]) == len(kept["indices"]) == 360


def test_predictions_name_every_example_rightly(smoke):
    rows = list(csv.DictReader((smoke.run() / "data" / "inference" / "predictions.csv").open()))
    right = sum(row["digit"] == row["file"].removesuffix(".png")[-1] for row in rows)
    assert len(rows) == 100
    assert right >= 85


def test_pages_ask_no_other_host_for_anything(smoke):
    for page in (smoke.run() / "reports").glob("*.html"):
        text = html.unescape(page.read_text())
        assert "default-src 'none'" in text
        for asking in ('src="http', "src='http", 'href="http', "@import", "url(http", "require.js", "mathjax"):
            assert asking not in text.lower(), (page.name, asking)
        assert page.stat().st_size < 1_500_000


def test_a_second_make_executes_nothing(made):
    assert made.make("all", "PARAMS=smoke").stages == []


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("features.tsne_perplexity=12", ["05_features"]),
        ("train.learning_rate=0.009", STAGES[2:]),
        ("infer.examples=10", ["06_infer"]),
        ("execute.timeout=1000", []),
    ],
)
def test_a_changed_parameter_reruns_what_depends_on_it(made, setting, expected):
    assert planned(made, f"SET={setting}") == expected


def test_a_drawing_that_was_corrected_since_is_looked_at(made):
    drawings = made.folder / "runs" / "handwriting"
    drawings.mkdir()
    (drawings / "a.json").write_text("{}")
    assert planned(made) == ["04_evaluate", "06_infer"]


def planned(made, *arguments: str) -> list[str]:
    """The stages that make would execute if every one of them left something new."""
    text = made.plan("all", "PARAMS=smoke", *arguments).text
    return sorted(
        {line.split("mnistlib.execute ")[1].split()[0] for line in text.splitlines() if "mnistlib.execute " in line}
    )


def test_comments_and_saving_in_lab_rerun_nothing(made):
    params, notebook = made.folder / "params" / "default.yaml", made.folder / "notebooks" / "03_train.ipynb"
    params.write_text("# a comment\n" + params.read_text())
    content = json.loads(notebook.read_text())
    content["cells"][1]["execution_count"] = 7
    content["metadata"]["language_info"]["version"] = "3.12.1"
    notebook.write_text(json.dumps(content))
    module = made.folder / "mnistlib" / "train.py"
    module.write_text("# a comment\n" + module.read_text())
    assert planned(made) == []


def test_changed_training_code_reruns_from_03(made):
    edit(made.folder / "mnistlib" / "train.py", "SCORED_AT_ONCE = 1000", "SCORED_AT_ONCE = 999")
    assert planned(made) == STAGES[2:]


def test_a_changed_plot_reruns_its_notebook_alone(made):
    edit(made.folder / "mnistlib" / "plots" / "features.py", "s=9", "s=8")
    assert made.make("all", "PARAMS=smoke").stages == ["05_features"]


@pytest.mark.slow
def test_a_changed_notebook_hands_on_the_same_data_and_stops_there(made):
    edit(made.folder / "notebooks" / "01_data.ipynb", "Where it came from", "Where all of it came from")
    assert made.make("all", "PARAMS=smoke").stages == ["01_data"]


@pytest.mark.slow
def test_a_deleted_artifact_is_made_again_and_nothing_else(made):
    (made.run() / "models" / "calibration.json").unlink()
    assert made.make("all", "PARAMS=smoke").stages == ["04_evaluate"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models/pytorch_mnist_model.pth", "03_train"),
        ("data/processed/test_images.npy", "02_preprocess"),
        ("reports/embeddings/embeddings.npz", "05_features"),
        ("metrics/04_evaluate.json", "04_evaluate"),
        ("reports/figures/strangers.png", "04_evaluate"),
        ("reports/figures/synthetic_ink.png", "03_train"),
    ],
)
def test_a_damaged_artifact_is_made_again(made, name, expected):
    path = made.run() / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    first = re.search(r"mnistlib.execute (\S+)", made.plan("all", "PARAMS=smoke").text)
    assert first and first[1] == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("params/params.yaml", b"\xff\xfe", None),
        ("params/03_train.yaml", b"\xff\xfe", "03_train"),
        ("status/02_preprocess.handed-on", b"\xff\xfe", "03_train"),
        ("status/04_evaluate.json", b'{"stage": "04_evaluate", "verdict": "ok", "seconds": null}', "04_evaluate"),
    ],
)
def test_what_cannot_be_read_is_written_anew(made, name, content, expected):
    (made.run() / name).write_bytes(content)
    done = made.plan("all", "PARAMS=smoke")
    first = re.search(r"mnistlib.execute (\S+)", done.text)
    assert (done.code, first and first[1]) == (0, expected)


def test_a_new_look_renders_pages_without_executing(made):
    edit(made.folder / "mnistlib" / "templates" / "style.css", "1.8rem", "1.9rem")
    done = made.make("all", "PARAMS=smoke")
    assert done.stages == []
    assert done.text.count("rendered") == 6
    assert "1.9rem" in (made.run() / "reports" / "03_train.html").read_text()


def test_a_run_named_alone_keeps_its_parameters(made):
    assert made.plan("all", "RUN=smoke").text.count("mnistlib.execute") == 0


@pytest.mark.slow
def test_stages_can_be_made_one_by_one(project):
    assert project.make("preprocess", "PARAMS=smoke").stages == STAGES[:2]
    index = (project.run() / "reports" / "index.html").read_text()
    assert "not run" in index


@pytest.mark.slow
def test_a_single_picture_can_be_learnt_from(project):
    done = project.make("train", "PARAMS=smoke", "SET=preprocess.train_limit=1")
    assert done.code == 0, done.text


@pytest.mark.slow
def test_two_jobs_give_the_same_results(smoke, project):
    assert project.make("-j2", "all", "PARAMS=smoke").code == 0
    assert project.lasting_metrics() == smoke.lasting_metrics()


@pytest.mark.slow
def test_fallback_is_seen_everywhere_and_gives_way_to_mnist(project, mnist_dir):
    few = "features.tsne_samples=200 preprocess.train_limit=2000 evaluate.corrupted=100 evaluate.strangers=60"
    quick = f"SET=train.epochs=1 {few}"
    first = project.make("all", "RUN=r", quick)
    assert first.code == 0, first.text
    assert "FALLBACK DATA" in first.text
    for page in (project.run("r") / "reports").glob("*.html"):
        assert "Fallback data." in page.read_text(), page.name
    assert project.make("all", "RUN=r", quick).stages == []
    second = project.make("all", "RUN=r", quick, MNIST_DIR=str(mnist_dir))
    assert second.stages == STAGES, second.text
    metrics = json.loads((project.run("r") / "reports" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["test_count"]) == ("mnist", 10_000)
    assert "FALLBACK DATA" not in second.text
