"""The receipt of the smoke run, held against the files themselves; damaged, foreign and missing ones are refused."""

import hashlib
import json
import platform
from importlib import metadata

import pytest
import torch
import yaml

from mnistlib.core.errors import RunError
from mnistlib.pipeline.verify import parameters_again
from mnistlib.runs.layout import Run
from mnistlib.runs.receipt import load_receipt
from mnistlib.runs.record import describe_outputs
from mnistlib.runs.reproducibility import DIFFERENT, IDENTICAL, NOTHING, TOLERANCES, WITHIN, judge, tolerance

NOT_LEFT = {"notebooks", "params", "status"}


@pytest.fixture
def kept(smoke) -> dict:
    return json.loads((smoke.run() / "receipt.json").read_text())


@pytest.fixture
def read(tmp_path):
    """A receipt as it is after somebody wrote to it."""

    def load(content: dict):
        folder = tmp_path / "doctored"
        folder.mkdir(exist_ok=True)
        (folder / "receipt.json").write_text(json.dumps(content))
        return load_receipt(Run("doctored", base=tmp_path))

    return load


def test_every_file_that_stages_leave_is_there_by_its_hash(smoke, kept):
    run = smoke.run()
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file() and path.suffix != ".html"}
    left = {p.as_posix() for p in files if len(p.parts) > 1 and p.parts[0] not in NOT_LEFT}
    left -= {"reports/metrics.json", "models/README.md"}
    assert set(kept["artifacts"]) == left
    for name, said in kept["artifacts"].items():
        content = (run / name).read_bytes()
        assert (said["sha256"], said["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content)), name


def test_examples_from_before_pictures_were_given_are_not_what_06_left(made):
    run = Run("smoke", base=made.folder / "runs")
    assert any("examples/" in name for name in describe_outputs(run, "06_infer", pictures_given=False))
    assert not any("examples/" in name for name in describe_outputs(run, "06_infer", pictures_given=True))


def test_it_says_what_the_run_was_made_of(smoke, kept):
    run = smoke.run()
    assert kept["parameters"] == yaml.safe_load((run / "params" / "params.yaml").read_text())
    assert kept["seed"] == 0
    assert kept["data"]["files"] == json.loads((run / "data" / "raw.json").read_text())["files"]
    for stage, said in kept["stages"].items():
        record = json.loads((run / "status" / f"{stage}.json").read_text())
        assert (said["notebook"], said["modules"]) == (record["inputs"]["notebook"], record["inputs"]["code"])
        assert said["seconds"].keys() >= {"start", "imports", "work"}
        machine = kept["machines"][said["machine"]]
        assert machine["versions"]["python"] == platform.python_version()
        assert machine["versions"]["torch"] == torch.__version__
        for name in ("numpy", "scikit-learn", "papermill"):
            assert machine["versions"][name] == metadata.version(name)
        assert machine["processor"]
        assert machine["cores"] > 0
        assert machine["memory_bytes"] > 1e8
    assert list(kept["metrics"]) == list(kept["stages"])


def test_a_lost_receipt_is_written_again_without_executing(made):
    path = made.run() / "receipt.json"
    kept = json.loads(path.read_text())
    path.unlink()
    assert made.make("all", "PARAMS=smoke").stages == []
    assert json.loads(path.read_text()) | {"written": kept["written"]} == kept


@pytest.mark.slow
def test_stages_that_have_not_caught_up_with_a_change_are_left_out(made):
    assert made.make("train", "PARAMS=smoke", "SET=train.epochs=1").stages == ["03_train"]
    kept = json.loads((made.run() / "receipt.json").read_text())
    assert kept["parameters"]["train"]["epochs"] == 1
    assert list(kept["stages"]) == ["01_data", "02_preprocess", "03_train"]
    assert kept["metrics"]["03_train"]["epochs"] == 1
    assert not any("test_predictions" in name for name in kept["artifacts"])


def test_alike_receipts_are_identical(kept, read):
    kept["metrics"]["03_train"]["train_seconds"] += 1
    kept["metrics"]["03_train"]["train_device"] = "another"
    lines, causes = judge(read(kept), read(kept))
    assert {line.verdict for line in lines} == {IDENTICAL}
    assert len(lines) > 120
    assert causes == []


def odd(kept, made) -> dict:
    """The lines that are not identical, by name."""
    return {line.name: line for line in judge(kept, made)[0] if line.verdict != IDENTICAL}


def test_where_nothing_else_differs_the_last_digit_counts(kept, read):
    ours = read(kept)
    kept["metrics"]["04_evaluate"]["test_accuracy"] += 1e-12
    (line,) = odd(ours, read(kept)).values()
    assert (line.name, line.verdict, line.why) == ("test_accuracy", DIFFERENT, NOTHING)


def test_another_version_is_named_and_gives_room_to_figures_but_not_to_counts(kept, read):
    ours = read(kept)
    kept["machines"][0]["versions"]["torch"] = "2.12.0"
    kept["metrics"]["04_evaluate"]["test_accuracy"] -= 2 / 360
    kept["metrics"]["04_evaluate"]["test_nll"] *= 5
    kept["metrics"]["03_train"]["model_parameters"] += 1
    for name in ("data/processed/train_images.npy", "reports/figures/samples.png", "reports/embeddings/embeddings.npz"):
        kept["artifacts"][name] |= {"sha256": "0" * 64, "content": "0" * 64}
    found = odd(ours, read(kept))
    assert {name: line.verdict for name, line in found.items()} == {
        "test_accuracy": WITHIN,
        "test_nll": DIFFERENT,
        "model_parameters": DIFFERENT,
        "data/processed/train_images.npy": DIFFERENT,
        "reports/figures/samples.png": WITHIN,
        "reports/embeddings/embeddings.npz": WITHIN,
    }
    for line in found.values():
        assert f"torch: {torch.__version__} → 2.12.0" in line.why


def test_files_of_a_stage_whose_figures_are_too_far_apart_are_different(kept, read):
    ours = read(kept)
    kept["machines"][0]["features"].append("amx_bf16")
    kept["metrics"]["03_train"]["val_accuracy"] = 0.5
    kept["artifacts"]["models/pytorch_mnist_model.pth"] |= {"sha256": "0" * 64, "content": "0" * 64}
    found = odd(ours, read(kept))
    assert {line.verdict for line in found.values()} == {DIFFERENT}
    assert "processor's features: none → amx_bf16" in found["models/pytorch_mnist_model.pth"].why


def test_a_cause_affects_what_comes_after_it_alone(kept, read):
    ours = read(kept)
    kept["stages"]["03_train"]["modules"]["mnistlib.training.loop"] = "0" * 16
    kept["stages"]["03_train"]["commit"] = "abc"
    kept["data"]["handwriting"]["one.json"] = "0" * 64
    _, causes = judge(ours, read(kept))
    code, drawings = sorted(causes, key=lambda cause: cause.what, reverse=True)
    assert (code.what, code.now) == ("module mnistlib.training.loop", "00000000 of abc")
    assert [code.affects(stage) for stage in kept["stages"]] == [False, False, True, True, True, True]
    assert [drawings.affects(stage) for stage in kept["stages"]] == [False, False, False, True, False, True]


def test_threads_are_a_cause_and_cores_where_threads_are_not_set(kept, read):
    kept["machines"][0] |= {"settings": {}, "cores": 2}
    ours = read(kept)
    kept["machines"][0] |= {"settings": {}, "cores": 8}
    assert [str(cause) for cause in judge(ours, read(kept))[1]] == ["cores: 2 → 8"]
    kept["machines"][0]["settings"] = {"OMP_NUM_THREADS": "2"}
    ours = read(kept)
    kept["machines"][0]["cores"] = 2
    assert judge(ours, read(kept))[1] == []


def test_tolerances_by_hand():
    metrics = {"test_count": 10_000, "test_accuracy": 0.9956, "val_count": 3000, "infer_count": 20}
    assert tolerance("test_accuracy", 0.9956, metrics) == pytest.approx(2 * 45**0.5 / 10_000)
    assert tolerance("test_errors", 44, metrics) == pytest.approx(2 * 45**0.5)
    assert tolerance("test_nll", 0.02, metrics) == pytest.approx(0.02 * 2 / 45**0.5)
    assert tolerance("infer_accepted", 17, metrics) == pytest.approx(6)
    assert tolerance("test_count", 10_000, metrics) == tolerance("dataset", "mnist", metrics) == 0


def test_every_noisy_figure_of_a_run_has_its_tolerance(kept):
    metrics = {name: value for measured in kept["metrics"].values() for name, value in measured.items()}
    without = {n for n, v in metrics.items() if isinstance(v, float) and v and not tolerance(n, v, metrics)}
    assert without == {"train_seconds", "checkpoint_seconds"}
    assert len(TOLERANCES) < 10


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: None, "receipt.json is missing"),
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: text[: len(text) // 2], "delete it, and make all"),
        (lambda text: "[]", "does not hold a mapping"),
        (lambda text: text.replace('"format": 3', '"format": 1'), "has version 1, expected 3"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"', 1), "damaged at seed"),
        (lambda text: text.replace('"sha256": "', '"sha256": "x', 1), "damaged at artifacts"),
        (lambda text: text.replace('"01_data": {', '"00_data": {', 1), "damaged at"),
        (lambda text: text.replace('"machine": 0', '"machine": 7', 1), "damaged at"),
    ],
)
def test_what_is_no_receipt_is_refused_with_what_to_do(smoke, tmp_path, damage, words):
    text = damage((smoke.run() / "receipt.json").read_text())
    (tmp_path / "doctored").mkdir()
    if text is not None:
        (tmp_path / "doctored" / "receipt.json").write_text(text)
    with pytest.raises(RunError, match="make all RUN=doctored writes it again") as refused:
        load_receipt(Run("doctored", base=tmp_path))
    assert words in str(refused.value)


def test_parameters_that_this_code_does_not_know_name_the_commit_to_check_out(kept, read):
    kept["parameters"]["train"]["epoches"] = kept["parameters"]["train"].pop("epochs")
    kept["stages"]["03_train"]["commit"] = "abc1234"
    with pytest.raises(RunError, match=r"(?s)did you mean train.epochs.*of the code .*abc1234.*check that out"):
        parameters_again(read(kept))


def test_a_run_on_the_fallback_is_made_again_on_the_fallback(kept, read):
    kept["data"]["fallback"] = True
    kept["parameters"]["data"] |= {"dataset": "mnist", "source": "auto"}
    assert parameters_again(read(kept))["data"]["source"] == "digits"


def test_other_raw_files_are_a_cause_and_give_no_room_to_the_data(kept, read):
    ours = read(kept)
    kept["data"]["files"][0]["SHA-256 unpacked"] = "0" * 64
    assert [(c.what, c.stages) for c in judge(ours, read(kept))[1]] == [("raw files", {"01_data"})]
