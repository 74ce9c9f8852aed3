"""The benchmark's page, of a benchmark that was cut off as well; and that each of its parts can start."""

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


@pytest.mark.parametrize("module", [*sorted(path.stem for path in (ROOT / "bench").glob("[!_]*.py")), "__main__"])
def test_what_the_bench_asks_of_the_package_is_there(module):
    importlib.import_module(f"bench.{module}")
