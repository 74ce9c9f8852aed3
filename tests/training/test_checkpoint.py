"""An interrupted training resumes to the same bits, or says why it starts from the beginning."""

import os

import pytest
import torch

from mnistlib.core.files import bytes_digest
from mnistlib.data.augmentation import Distortion
from mnistlib.data.loading import obtain
from mnistlib.reporting.plots.training import plot_curves
from mnistlib.training import loop as training
from mnistlib.training.checkpoint import Checkpoints, read_checkpoint, write_checkpoint
from mnistlib.training.loop import Recipe, fit
from mnistlib.training.model import Architecture, build
from mnistlib.training.tensor_dataset import TensorDataset

CPU = torch.device("cpu")
SMALL = Architecture(widths=(4, 8, 16), hidden=16, dropout=0.3)
RECIPE = {"epochs": 5, "batch_size": 20, "label_smoothing": 0.03, "distortion": Distortion(5, 0.05, 0.05, 0.05)}


class CutError(Exception):
    """What ends a training early."""


@pytest.fixture(scope="module")
def digits() -> tuple[TensorDataset, TensorDataset]:
    raw = obtain("digits")
    parts = (slice(0, 100), slice(100, 150))
    return tuple(TensorDataset.of(CPU, (raw.train_images[part], raw.train_labels[part])) for part in parts)


class Training:
    """One training in a folder of its own, cut off and gone on with as often as asked."""

    def __init__(self, folder, digits):
        self.folder, self.digits, self.said = folder, digits, []

    def go(self, until=0, architecture=SMALL, seed=1, precision="fp32", digits=None, **changes):
        """Train, cut off after epoch `until`; returns the weights as bytes, and the history without its seconds."""

        def cut(epoch):
            if epoch.epoch == until:
                raise CutError

        self.said = []
        self.checkpoints = Checkpoints(self.folder, say=self.said.append)
        network, history = fit(
            build(architecture, seed), *(digits or self.digits), Recipe(**RECIPE | changes), seed=seed,
            precision=precision, checkpoints=self.checkpoints, on_epoch=cut,
        )  # fmt: skip
        weights = b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())
        return weights, [(e.epoch, e.train_loss, e.val_loss, e.learning_rate) for e in history]

    def cut(self, until, **changes):
        with pytest.raises(CutError):
            self.go(until, **changes)

    def files(self):
        return sorted(path.name for path in self.folder.glob("*"))


@pytest.fixture
def cut_off(tmp_path, digits):
    return Training(tmp_path / "cut off", digits)


@pytest.fixture
def in_one_go(tmp_path, digits):
    return Training(tmp_path / "in one go", digits)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_interrupted_training_ends_at_the_same_bits(cut_off, in_one_go, optimizer, precision):
    setting = {"optimizer": optimizer, "precision": precision}
    cut_off.cut(2, **setting)
    torch.rand(7)
    cut_off.cut(4, **setting)
    assert cut_off.said == ["resumed after epoch 2"]
    assert cut_off.go(**setting) == in_one_go.go(**setting)
    assert cut_off.said == ["resumed after epoch 4, as it did after epoch 2"]
    assert cut_off.checkpoints.seams == [2, 4]
    assert in_one_go.said == []


def test_interrupted_after_its_last_epoch_it_is_not_trained_again(cut_off, in_one_go):
    cut_off.cut(5)
    assert cut_off.go() == in_one_go.go()
    assert cut_off.said == ["resumed after epoch 5"]


def test_the_newest_two_are_kept_and_none_when_all_is_done(cut_off):
    cut_off.cut(1)
    assert cut_off.files() == ["epoch-0001.pt"]
    cut_off.cut(4)
    assert cut_off.files() == ["epoch-0003.pt", "epoch-0004.pt"]
    cut_off.go()
    cut_off.checkpoints.clear()
    assert not cut_off.folder.exists()


def test_checkpoints_change_no_bit_of_a_training(in_one_go, digits):
    network, _ = fit(build(SMALL, 1), *digits, Recipe(**RECIPE), seed=1)
    weights = b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())
    assert in_one_go.go()[0] == weights


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.02}, "learning_rate 0.01, now 0.02"),
        ({"epochs": 6}, "epochs 5, now 6"),
        ({"distortion": Distortion(6, 0.05, 0.05, 0.05)}, "rotate 5, now 6"),
        ({"optimizer": "adamw"}, "optimizer muon, now adamw"),
        ({"precision": "bf16"}, "precision fp32, now bf16"),
        ({"seed": 2}, "seed 1, now 2; other first weights"),
        ({"architecture": Architecture(widths=(4, 8, 16), hidden=17, dropout=0.3)}, "other network; other first"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused_in_words(cut_off, in_one_go, changes, words):
    cut_off.cut(2)
    assert cut_off.go(**changes) == in_one_go.go(**changes)
    assert "epoch-0002.pt belongs to another training (" + words in cut_off.said[0]
    assert cut_off.said[1] == "training starts from the beginning"


@pytest.mark.parametrize(("part", "words"), [(0, "other training pictures"), (1, "other validation pictures")])
def test_changed_data_are_refused(cut_off, in_one_go, digits, part, words):
    cut_off.cut(2)
    changed = [TensorDataset((split.images[0].clone(),), split.labels) for split in digits]
    changed[part].images[0][0, 0, 14, 14] ^= 1
    assert cut_off.go(digits=changed) == in_one_go.go(digits=changed)
    assert words in cut_off.said[0]


def test_changed_labels_code_and_threads_are_refused(cut_off, digits, monkeypatch):
    cut_off.cut(2)
    train = TensorDataset(digits[0].images, digits[0].labels.flip(0))
    cut_off.cut(2, digits=(train, digits[1]))
    assert "other training pictures" in cut_off.said[0]
    monkeypatch.setattr(training, "modules_digest", lambda names: bytes_digest(b"changed"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    cut_off.go()
    assert "other code of training; threads" in cut_off.said[0]
    assert cut_off.said[0].endswith("now 77): not used")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_in_the_line_that_says_whose_it_is(path):
    path.write_bytes(path.read_bytes().replace(b'"seed": "1"', b'"seed": "2"'))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, flip_in_the_line_that_says_whose_it_is, empty])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before_it(cut_off, in_one_go, damage):
    cut_off.cut(3)
    damage(cut_off.folder / "epoch-0003.pt")
    assert cut_off.go() == in_one_go.go()
    assert "epoch-0003.pt is damaged (" in cut_off.said[0]
    assert cut_off.said[1:] == ["resumed after epoch 2"]


def test_where_all_are_damaged_training_starts_from_the_beginning_and_says_so(cut_off, in_one_go):
    cut_off.cut(3)
    for path in cut_off.folder.iterdir():
        truncate(path)
    assert cut_off.go() == in_one_go.go()
    assert [words.split("/")[-1].split(" (")[0] for words in cut_off.said] == [
        "epoch-0003.pt is damaged",
        "epoch-0002.pt is damaged",
        "training starts from the beginning",
    ]


class Harmful:
    def __reduce__(self):
        return os.system, ("touch owned",)


def test_no_code_of_a_checkpoint_is_run(cut_off, monkeypatch, tmp_path):
    cut_off.cut(3)
    newest = cut_off.folder / "epoch-0003.pt"
    identity, state = read_checkpoint(newest)
    monkeypatch.chdir(tmp_path)
    write_checkpoint(newest, identity, state | {"history": Harmful()})
    cut_off.go()
    assert "epoch-0003.pt is damaged (UnpicklingError)" in cut_off.said[0]
    assert not (tmp_path / "owned").exists()


def test_the_seconds_of_writing_are_counted_over_a_seam(cut_off):
    cut_off.cut(3)
    before = read_checkpoint(cut_off.folder / "epoch-0003.pt")[1]
    cut_off.go()
    assert cut_off.checkpoints.writing > before["writing"] > 0
    assert cut_off.checkpoints.elapsed > before["seconds"] > before["writing"]


def test_the_curves_have_a_line_where_training_went_on(cut_off, digits):
    _, history = fit(build(SMALL, 1), *digits, Recipe(**RECIPE), seed=1)
    places = [line.get_xdata()[0] for axes in plot_curves(history, [2]).axes for line in axes.lines if line.get_gid()]
    assert places == [2.5, 2.5, 2.5]
