"""The network, its file and what happens when the file is not what it was."""

import io
import json
import pickle

import numpy as np
import pytest
import torch

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import with_digest
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import Architecture, build, count_parameters, layer_rows, load_model, save_model

SMALL = Architecture(widths=(4, 8, 16), hidden=32)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    return Run("r")


def test_it_is_three_convolutions_with_batch_norm_then_two_layers():
    kinds = [type(layer).__name__ for layer in build(SMALL, 0).modules()]
    assert (kinds.count("Conv2d"), kinds.count("BatchNorm2d"), kinds.count("Linear")) == (3, 3, 2)
    assert (kinds.count("Dropout2d"), kinds.count("Dropout")) == (1, 1)


def test_shapes_and_parameters_by_hand():
    network = build(SMALL, 0).eval()
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert network.embed(torch.zeros(2, 1, 28, 28)).shape == (2, 32)
    convolutions = 4 * 25 + 8 * 4 * 9 + 16 * 8 * 9
    norms = 2 * (4 + 8 + 16 + 32)
    assert count_parameters(network) == convolutions + norms + 16 * 9 * 32 + 32 * 10 + 10
    assert sum(row["parameters"] for row in layer_rows(network)) == count_parameters(network)


def test_layer_rows_of_a_network_on_another_device():
    assert layer_rows(build(SMALL, 0).to("meta")) == layer_rows(build(SMALL, 0))


def test_the_table_has_dropout_only_where_it_drops():
    with_it, without = (layer_rows(build(Architecture((4, 8, 16), 32, dropout=p), 0)) for p in (0.05, 0.0))
    assert [row["layer"] for row in with_it if "Dropout" in row["layer"]] == ["Dropout2d 0.05", "Dropout 0.05"]
    assert [row for row in with_it if "Dropout" not in row["layer"]] == without


def test_the_seed_alone_makes_the_weights():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (build(SMALL, s).head[1].weight for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_normalization_is_inside():
    plain, shifted = (build(Architecture((4, 8, 16), 32, mean=m, std=s), 0).eval() for m, s in ((0, 1), (0.2, 0.5)))
    images = torch.rand(3, 1, 28, 28)
    assert torch.allclose(shifted(images), plain((images - 0.2) / 0.5), atol=1e-6)


POOLINGS = [("stride", "max", "none"), ("max", "max", "none"), ("max", "none", "stride")]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_fusing_batch_norm_changes_no_prediction(pooling):
    network = build(Architecture((4, 8, 16), 32, mean=0.2, std=0.5, pooling=pooling), 0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
        for _ in range(4):
            network(torch.rand(64, 1, 28, 28))
    images = torch.rand(9, 1, 28, 28)
    before = network.training
    fused = FusedNet(network)
    assert torch.allclose(fused(images), network.eval()(images), atol=1e-5)
    assert before
    assert len(fused.layers) < sum(1 for m in network.modules() if not list(m.children()))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_map_sides_are_what_torch_makes_them(pooling):
    network = build(Architecture((4, 8, 16), 32, pooling=pooling), 0)
    found = network.convolutions(torch.zeros(1, 1, 28, 28))
    assert network.architecture.sides()[-1] == found.shape[-1] == found.shape[-2]


def test_maps_that_vanish_are_refused_with_the_parameters_to_change():
    with pytest.raises(RunError, match=r"train\.kernels"):
        build(Architecture((4, 8, 16), 32, kernels=(15, 9, 9)), 0)


def test_a_saved_model_is_loaded_again(run):
    network = build(SMALL, 3).eval()
    save_model(run, network, {"dataset": "mnist"})
    images = torch.rand(4, 1, 28, 28)
    back = load_model(run)
    assert not back.training
    assert torch.equal(back(images), network(images))


def test_a_damaged_or_foreign_weights_file_is_never_loaded(run, tmp_path):
    save_model(run, build(SMALL, 0), {})
    good = run.weights.read_bytes()
    run.weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(RunError, match="damaged"):
        load_model(run)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    zipped = io.BytesIO()
    torch.save({"head.1.bias": Evil()}, zipped)
    described = json.loads(run.model_json.read_text())
    for bad in (pickle.dumps(Evil(), 2), zipped.getvalue()):
        run.weights.write_bytes(bad)
        with pytest.raises(RunError, match="damaged"):
            load_model(run)
        run.model_json.write_text(json.dumps(with_digest({**described, "weights_sha256": bytes_digest(bad)})))
        with pytest.raises(RunError, match="holds more than weights and was not loaded"):
            load_model(run)
        assert not (tmp_path / "owned").exists()
        run.model_json.write_text(json.dumps(described))
    run.weights.unlink()
    with pytest.raises(RunError, match="missing"):
        load_model(run)


def test_another_format_says_which_stage_to_run(run):
    save_model(run, build(SMALL, 0), {})
    run.model_json.write_text(run.model_json.read_text().replace('"format": 4', '"format": 99'))
    with pytest.raises(RunError, match="re-run 03_train"):
        load_model(run)


@pytest.mark.parametrize(
    "damage",
    [
        *({"weights_sha256": None}, {"weights_sha256": 7}, {"training": []}, {"architecture": None}),
        *({"architecture": odd} for odd in ({"depth": 3}, {"widths": "x"}, {"widths": []}, {"mean": None})),
        *({"architecture": {name: 10**15}} for name in ("hidden", "classes")),
    ],
)
def test_a_damaged_description_is_named(run, damage):
    save_model(run, build(SMALL, 0), {})
    described = json.loads(run.model_json.read_text()) | damage
    run.model_json.write_text(json.dumps(with_digest({name: v for name, v in described.items() if v is not None})))
    with pytest.raises(RunError, match=r"model\.json is damaged .*: re-run 03_train"):
        load_model(run)


@pytest.mark.parametrize("damage", [lambda good: b"", lambda good: b"some text", lambda good: good[:900]])
def test_a_file_without_weights_is_named_though_the_description_fits(run, damage):
    save_model(run, build(SMALL, 0), {})
    bad = damage(run.weights.read_bytes())
    run.weights.write_bytes(bad)
    described = json.loads(run.model_json.read_text())
    run.model_json.write_text(json.dumps(with_digest({**described, "weights_sha256": bytes_digest(bad)})))
    with pytest.raises(RunError, match=r"holds no weights .*: re-run 03_train"):
        load_model(run)


def test_weights_are_plain_float32_tensors(run):
    save_model(run, build(SMALL, 0), {})
    state = torch.load(run.weights, weights_only=True)
    assert all(isinstance(v, torch.Tensor) for v in state.values())
    assert state["head.1.weight"].numpy().dtype == np.float32


def test_an_unknown_pooling_is_refused():
    with pytest.raises(RunError, match=r"train\.pooling is \['max', 'mean', 'none'\]"):
        build(Architecture((4, 8, 16), 32, pooling=("max", "mean", "none")), 0)
