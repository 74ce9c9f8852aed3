"""What the export for the front page's pad holds: the network in few bits, drawings, or why there is no pad."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnistlib.core.config import load
from mnistlib.inference import browser_export
from mnistlib.inference.predictor import load_predictor
from mnistlib.reporting.front_page import PAD_SCRIPTS, write_index
from mnistlib.reporting.pages import TEMPLATES
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build


def test_all_of_it_stays_within_a_megabyte_and_its_halves_are_near_the_weights(smoke):
    scripts = sum(len((TEMPLATES / name).read_bytes()) for name in PAD_SCRIPTS)
    assert browser_export.MOST_BYTES + scripts < 1_000_000
    first = load_predictor(smoke.run()).network.layers[0].weight.numpy()
    step = json.loads((smoke.run() / "reports" / "pad.json").read_text())["layers"][0]
    halves = np.frombuffer(base64.b64decode(step["weight"]), "<f2").reshape(first.shape)
    assert np.abs(halves - first).max() <= np.abs(first).max() * 2**-11


def test_in_eight_bits_no_weight_is_further_off_than_half_a_level_of_its_output():
    weight = (
        torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1e-6, 1, 300])[:, None, None, None]
    )
    packed = browser_export.to_int8(weight)
    whole = np.frombuffer(base64.b64decode(packed["weight"]), np.int8).reshape(3, 8)
    factor = np.frombuffer(base64.b64decode(packed["factor"]), "<f2").astype(float)[:, None]
    weights = weight.numpy().reshape(3, 8)
    assert np.abs(whole[1:]).max(1).tolist() == [127, 127]
    assert (np.abs(whole * factor - weights) <= factor * 0.57).all()


def test_best_fits_into_the_page_in_eight_bits_and_the_smoke_runs_in_sixteen(smoke):
    t, predictor = load("best").train, load_predictor(smoke.run())
    best = build(Architecture(tuple(t.widths), t.hidden, kernels=tuple(t.kernels), pooling=tuple(t.pooling)), seed=0)
    scribble = np.random.default_rng(0).normal(size=(1, browser_export.MOST_POINTS, 2)).tolist()
    replays = browser_export.to_replay([scribble])
    assert browser_export.page_data(replace(predictor, network=best.eval()), replays)[1] == 8
    assert browser_export.page_data(predictor, [])[1] == 16


@pytest.mark.parametrize(
    ("dataset", "most", "why"),
    [
        ("fashion_mnist", browser_export.MOST_BYTES, "classes are not digits"),
        ("mnist", 1000, "more than 1,000"),
    ],
)
def test_a_network_that_the_page_cannot_hold_has_no_pad_there(made, monkeypatch, dataset, most, why):
    run = Run("smoke", made.folder / "runs")
    monkeypatch.setattr(browser_export, "MOST_BYTES", most)
    predictor = replace(load_predictor(made.run()), dataset=dataset)
    assert why in browser_export.save_browser_pad(run, predictor, [])["in the page"]
    write_index(run)
    assert 'id="drawing-pad"' not in run.index.read_text()


def test_a_pad_of_other_weights_is_left_out(made):
    run = Run("smoke", made.folder / "runs")
    write_index(run)
    assert 'id="drawing-pad"' in run.index.read_text()
    run.pad_json.write_text(run.pad_json.read_text().replace('{"model":"', '{"model":"other'))
    write_index(run)
    assert 'id="drawing-pad"' not in run.index.read_text()


def test_the_last_twenty_drawings_are_kept_in_the_middle_of_the_paper():
    many = [[[[0.0, 0.0], [float(n), 10.0]]] for n in range(30)] + [[[[0.0, 0.0]] * (browser_export.MOST_POINTS + 1)]]
    placed = browser_export.to_replay(many)
    heights = [first[1][1] - first[0][1] for (first,) in placed]
    assert heights == sorted(heights, reverse=True)  # the wider, the flatter: the oldest first
    assert len(placed) == browser_export.MOST_DRAWINGS - 1
    for drawing in placed:
        points = np.concatenate(drawing)
        assert (points.min(0) + points.max(0)) / 2 == pytest.approx(browser_export.SIDE / 2, abs=0.1)
        assert np.ptp(points, axis=0).max() == pytest.approx(browser_export.FILLED * browser_export.SIDE, abs=0.2)


def test_a_drawing_with_huge_coordinates_is_placed_on_the_canvas_too():
    (((first, last),),) = browser_export.to_replay([[[[1.5e308, 1.5e308], [1.6e308, 1.7e308]]]])
    assert first[1] == pytest.approx(browser_export.SIDE * (1 - browser_export.FILLED) / 2)
    assert last[1] == pytest.approx(browser_export.SIDE * (1 + browser_export.FILLED) / 2)
