"""The benchmark's page, also of an interrupted benchmark; and that every module of bench can be imported."""

import importlib

import pytest

from bench.page import write_page
from mnistlib.core.files import ROOT

SEED = {"train_seconds": 3.0, "test_accuracy": 0.99}
PROFILE = {
    "profile": "fast", "n": 1, "parameters": 1234, "test_accuracy": 0.99, "test_accuracy_std": 0.0,
    "train_seconds": 3.0, "train_seconds_std": 0.0, "epoch_seconds": 1.0, "ensemble_test_accuracy": 0.99,
    "seeds": [SEED],
}  # fmt: skip
PLAIN = {"epochs": [{"epoch_seconds": 40.0, "seconds": 40.0, "test_accuracy": 0.98}], "epoch_seconds": 40.0}
KEPT = {"machine": "two cores", "date": "2026-01-01 00:00", "pipelines": {}}


def test_profiles_are_shown_with_the_plain_recipe_and_without(tmp_path):
    for more in ({}, {"tutorial": PLAIN}):
        write_page(tmp_path / "index.html", KEPT | {"profiles": [PROFILE]} | more)
        page = (tmp_path / "index.html").read_text()
        assert "1,234" in page
        assert ("40 s per epoch" in page) == bool(more)


def test_cut_off_before_the_first_profile_there_is_still_a_page(tmp_path):
    for more in ({}, {"profiles": []}):
        write_page(tmp_path / "index.html", KEPT | more)
        assert "two cores" in (tmp_path / "index.html").read_text()


def modules():
    """Every module of bench, its folders' too, by its dotted name."""
    paths = sorted(path.relative_to(ROOT) for path in (ROOT / "bench").rglob("*.py") if path.stem != "__init__")
    return [".".join(path.with_suffix("").parts) for path in paths]


def test_the_modules_of_every_folder_are_imported():
    assert {"bench.__main__", "bench.accuracy.profiles", "bench.speed.pipeline", "bench.browser.lab"} <= {*modules()}


@pytest.mark.parametrize("module", modules())
def test_what_the_bench_asks_of_the_package_is_there(module):
    importlib.import_module(module)


def test_no_folder_of_bench_holds_more_than_fourteen_modules():
    counts = {folder: len(list(folder.glob("*.py"))) for folder in (ROOT / "bench").rglob("*") if folder.is_dir()}
    assert max(counts.values()) <= 14
