"""The whole pipeline on the smoke profile, and what a second make executes after each kind of change."""

import csv
import html
import json
import os
import re
import shutil
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
    assert len(rows) == 40
    assert right >= 34


def test_pages_ask_no_other_host_for_anything(smoke):
    for page in (smoke.run() / "reports").glob("*.html"):
        text = html.unescape(page.read_text())
        assert "default-src 'none'" in text
        for asking in ('src="http', "src='http", "<link", "@import", "url(http", "require.js", "mathjax"):
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
def test_a_changed_parameter_reruns_what_depends_on_it(smoke, look, setting, expected):
    assert look(smoke, SET=setting).planned == expected


def test_a_drawing_that_was_corrected_since_is_looked_at(made, look):
    drawings = made.folder / "runs" / "handwriting"
    drawings.mkdir()
    (drawings / "a.json").write_text("{}")
    assert look(made).planned == ["04_evaluate", "06_infer"]


@pytest.fixture
def look(command):
    """What `make -n all` says of a run whose code and notebooks are as they are here."""
    return lambda project, **asked: command(project, "resolve", MAKEFLAGS="n", **{"PARAMS": "smoke"} | asked)


def planned(made, *arguments: str) -> list[str]:
    """The stages that make would execute if every one of them left something new."""
    return made.plan("all", "PARAMS=smoke", *arguments).planned


def test_comments_and_saving_in_lab_rerun_nothing(made):
    params, notebook = made.folder / "params" / "default.yaml", made.folder / "notebooks" / "03_train.ipynb"
    params.write_text("# a comment\n" + params.read_text())
    content = json.loads(notebook.read_text())
    content["cells"][1]["execution_count"] = 7
    content["metadata"]["language_info"]["version"] = "3.12.1"
    notebook.write_text(json.dumps(content))
    module = made.folder / "mnistlib" / "training" / "loop.py"
    module.write_text("# a comment\n" + module.read_text())
    assert planned(made) == []


def test_changed_training_code_reruns_from_03(made):
    edit(made.folder / "mnistlib" / "training" / "loop.py", "SCORED_AT_ONCE = 1000", "SCORED_AT_ONCE = 999")
    assert planned(made) == STAGES[2:]


def test_a_changed_metric_trains_nothing_again(made):
    edit(made.folder / "mnistlib" / "evaluation" / "metrics.py", "def softmax(", "X = 1\n\n\ndef softmax(")
    assert planned(made) == ["04_evaluate", "05_features", "06_infer"]


@pytest.mark.parametrize("way", ["planned", pytest.param("executed", marks=pytest.mark.slow)])
def test_a_changed_plot_reruns_its_notebook_alone(made, way):
    edit(made.folder / "mnistlib" / "reporting" / "plots" / "features.py", "s=9", "s=8")
    stages = planned(made) if way == "planned" else made.make("all", "PARAMS=smoke").stages
    assert stages == ["05_features"]


@pytest.mark.slow
def test_a_changed_notebook_hands_on_the_same_data_and_stops_there(made):
    edit(made.folder / "notebooks" / "01_data.ipynb", "## Source", "## The source")
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
        ("reports/figures/ood_detection.png", "04_evaluate"),
        ("reports/figures/synthetic_ink.png", "03_train"),
    ],
)
def test_a_damaged_artifact_is_made_again(made, look, name, expected):
    path = made.run() / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    plan = look(made)
    assert plan.certain == [expected]
    assert f"{name} was changed" in plan.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("params/params.yaml", b"\xff\xfe", None),
        ("status/03_train.json", b"\xff\xfe", "03_train"),
        ("status/04_evaluate.json", b'{"stage": "04_evaluate", "verdict": "ok", "seconds": null}', "04_evaluate"),
    ],
)
def test_what_cannot_be_read_is_written_anew(made, look, name, content, expected):
    (made.run() / name).write_bytes(content)
    done = look(made)
    assert (done.code, done.certain) == (0, [expected] if expected else [])


def test_a_new_look_renders_pages_without_executing(made):
    edit(made.folder / "mnistlib" / "reporting" / "templates" / "style.css", "1.8rem", "1.9rem")
    done = made.make("all", "PARAMS=smoke")
    assert done.stages == []
    assert "1.9rem" in (made.run() / "reports" / "03_train.html").read_text()


def test_a_run_named_alone_keeps_its_parameters(smoke, look):
    assert look(smoke, RUN="smoke", PARAMS="").planned == []


@pytest.mark.parametrize("ahead", [3600, -(10**9)])
def test_no_time_of_a_file_hides_a_change_or_causes_a_run(made, ahead):
    for path in made.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_mtime + ahead,) * 2)
    assert planned(made) == []
    assert made.plan("all", "RUN=smoke", "SET=train.epochs=3 seed=5").certain == STAGES
    told = made.make("status", "RUN=smoke", "SET=train.epochs=3 seed=5").text
    assert "03_train       runs        seed 0 → 5; train.epochs 8 → 3" in told


def contents(folder):
    """All files below a folder, with the times of their last change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_copied_run_runs_nothing_and_tells_its_own_name(made):
    shutil.copytree(made.run(), made.run("copy"), copy_function=shutil.copyfile)
    done = made.make("all", "RUN=copy")
    assert (done.code, done.stages) == (0, []), done.text
    assert "copy" in (made.run("copy") / "reports" / "03_train.html").read_text()
    assert json.loads((made.run("copy") / "receipt.json").read_text())["run"] == "copy"
    assert made.plan("all", "RUN=copy", "SET=train.epochs=3").certain == ["03_train"]


@pytest.mark.slow
def test_who_goes_back_to_the_old_parameters_runs_nothing(made):
    assert made.make("data", "PARAMS=smoke", "SET=train.epochs=3").stages == []
    kept = json.loads((made.run() / "receipt.json").read_text())
    assert "03_train" not in kept["stages"]
    assert "train.epochs = 8" in (made.run() / "reports" / "03_train.html").read_text()  # what it was made with
    assert planned(made) == []
    assert made.make("all", "PARAMS=smoke").stages == []
    assert "03_train" in json.loads((made.run() / "receipt.json").read_text())["stages"]


def test_a_run_with_the_parameter_names_of_an_earlier_version_is_up_to_date(made, look):
    path = made.run() / "params" / "params.yaml"
    old = path.read_text().replace("optimizer:", "optimiser:").replace("augmented_copies:", "bent:")
    path.write_text(old.replace("outliers:", "strangers:"))
    assert look(made, RUN="smoke", PARAMS="").planned == []


def test_status_says_why_and_changes_nothing(made):
    before = contents(made.run())
    edit(made.folder / "notebooks" / "05_features.ipynb", "Neighbors stay", "The neighbors stay")
    (made.run() / "models" / "calibration.json").rename(made.run() / "calibration.json")
    edit(made.folder / "mnistlib" / "data" / "validation.py", "def validate(", "X = 1\n\n\ndef validate(")
    said = made.make("status", "RUN=smoke", "SET=infer.examples=3").text.splitlines()
    (made.run() / "calibration.json").rename(made.run() / "models" / "calibration.json")
    for expected in (
        r"01_data +runs +module mnistlib.data.validation changed \(about .* s\)",
        r"02_preprocess +perhaps +if a stage before it leaves something new",
        r"03_train +perhaps .*",
        r"04_evaluate +runs +models/calibration.json is missing .*",
        r"05_features +runs +cell \d+ changed .*",
        r"06_infer +runs +infer.examples 40 → 3.*",
    ):
        assert any(re.fullmatch(expected, line) for line in said), (expected, said)
    assert contents(made.run()) == before


@pytest.mark.slow
def test_a_model_comes_back_when_the_one_that_replaces_it_fails(made):
    models, notebook = made.run() / "models", made.folder / "notebooks" / "04_evaluate.ipynb"
    before = {path.name: path.read_bytes() for path in models.iterdir()}
    whole = notebook.read_text()
    edit(notebook, "print(data_line(here))", "raise ValueError('no luck')")
    done = made.make("evaluate", "PARAMS=smoke", "SET=train.epochs=1")
    assert (done.code, done.stages) == (2, ["03_train", "04_evaluate"])
    assert "the model before this one is back in runs/smoke/models" in done.text
    for name in ("pytorch_mnist_model.pth", "model.json", "calibration.json"):
        assert (models / name).read_bytes() == before[name]
    assert (models / "previous" / "pytorch_mnist_model.pth").read_bytes() != before["pytorch_mnist_model.pth"]
    notebook.write_text(whole)
    done = made.make("evaluate", "PARAMS=smoke", "SET=train.epochs=1")
    assert (done.code, done.stages) == (0, ["04_evaluate"])  # the training is not lost
    assert (models / "pytorch_mnist_model.pth").read_bytes() != before["pytorch_mnist_model.pth"]
    assert not (models / "previous").exists()


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
def test_two_jobs_give_the_same_results(smoke, made):
    for stage in STAGES[3:5]:
        (made.run() / "status" / f"{stage}.json").unlink()
        (made.run() / "metrics" / f"{stage}.json").unlink()
    done = made.make("-j2", "all", "PARAMS=smoke")
    assert (done.code, set(done.stages)) == (0, set(STAGES[3:5])), done.text
    assert made.lasting_metrics() == smoke.lasting_metrics()


@pytest.mark.slow
def test_a_run_of_mnist_never_becomes_one_of_digits_unasked(project, mnist_dir, tmp_path):
    folder = tmp_path / "mine"
    folder.symlink_to(mnist_dir)
    raw_json = project.run("r") / "data" / "raw.json"
    assert project.make("data", "RUN=r", MNIST_DIR=str(folder)).stages == ["01_data"]
    made_of = raw_json.read_bytes()
    again = project.make("data", "RUN=r", "SET=data.samples=20")
    assert (again.code, again.stages, raw_json.read_bytes()) == (0, ["01_data"], made_of), again.text
    folder.unlink()
    refused = project.make("data", "RUN=r", "SET=data.samples=30")
    assert refused.code != 0
    for words in (f"runs/r was made with MNIST from {folder}", "=folder names", "SET=data.source=digits makes"):
        assert words in refused.text
    assert raw_json.read_bytes() == made_of
    asked = project.make("data", "RUN=r", "SET=data.source=digits")
    assert (asked.code, json.loads(raw_json.read_bytes())["dataset"]) == (0, "digits")


@pytest.mark.slow
def test_fallback_is_seen_everywhere_and_gives_way_to_mnist(project, mnist_dir):
    here = "data.dataset=mnist data.source=auto preprocess.train_limit=2000 train.epochs=1"
    quick = ("PARAMS=smoke", f"SET={here} evaluate.augmented_copies=2")
    first = project.make("all", "RUN=r", *quick)
    assert first.code == 0, first.text
    assert "FALLBACK DATA" in first.text
    for page in (project.run("r") / "reports").glob("*.html"):
        assert "Fallback data." in page.read_text(), page.name
    assert project.make("all", "RUN=r", *quick).stages == []
    second = project.make("all", "RUN=r", *quick, MNIST_DIR=str(mnist_dir))
    assert second.stages == STAGES, second.text
    metrics = json.loads((project.run("r") / "reports" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["test_count"]) == ("mnist", 10_000)
    assert "FALLBACK DATA" not in second.text
