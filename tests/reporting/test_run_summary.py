"""The texts that describe a run."""

import pytest

from mnistlib.core import config
from mnistlib.core.config import dump_yaml
from mnistlib.reporting.run_summary import differing, validation_text
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("", ["seed = 7", "train.epochs = 3", "features.neighbours = 5", "infer.input = a.png"]),
        ("02_preprocess", ["seed = 7"]),
        ("04_evaluate", ["seed = 7", "train.epochs = 3"]),
        ("05_features", ["seed = 7", "train.epochs = 3", "features.neighbours = 5"]),
        ("06_infer", ["seed = 7", "train.epochs = 3", "infer.input = a.png"]),
    ],
)
def test_a_stage_s_page_tells_the_parameters_that_it_hangs_on(tmp_path, monkeypatch, stage, told):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    set_so = config.load("default", "seed=7 train.epochs=3 features.neighbours=5 infer.input=a.png")
    Run("r").params().parent.mkdir(parents=True)
    Run("r").params().write_text(dump_yaml(set_so.model_dump()))
    assert differing(Run("r"), stage) == told


def test_validation_is_told_with_its_errors():
    assert validation_text({"val_accuracy": 0.992, "val_count": 3000}) == "99.20 % (24 errors in 3,000)"
    assert validation_text({"val_accuracy": 1 - 1 / 3000, "val_count": 3000}) == "99.97 % (1 error in 3,000)"
    assert validation_text({"val_accuracy": 0.992}) == "99.20 %"
