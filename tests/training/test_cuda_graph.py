"""A step that a GPU records: it may read nothing back, and played again it must be the step it was."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mnistlib.data.augmentation import Distortion
from mnistlib.data.loading import obtain
from mnistlib.training import loop
from mnistlib.training.checkpoint import Checkpoints
from mnistlib.training.cuda_graph import WARM_UP
from mnistlib.training.model import Architecture, build
from mnistlib.training.optim import Muon
from mnistlib.training.tensor_dataset import TensorDataset
from mnistlib.training.trainer import Recipe, Trainer

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
RECIPE = Recipe(epochs=3, batch_size=50, optimizer="muon", distortion=Distortion(5, 0.05, 0.05, 0.05))
SMALL = Architecture(widths=(8, 16, 32), hidden=32, dropout=0.2)


class ReadingBack(TorchDispatchMode):
    """Notes what fetches a value of a tensor to Python, which a recorded GPU cannot do."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.seen.append(func)
        return func(*args, **(kwargs or {}))


def parts(device):
    raw = obtain("digits")
    images, labels = raw.train_images, raw.train_labels
    return TensorDataset.of(device, (images[:1000], labels[:1000])), TensorDataset.of(
        device, (images[1000:], labels[1000:])
    )


def trained(device, folder=None, on_epoch=lambda row: None):
    checkpoints = Checkpoints(folder) if folder else None
    network = build(SMALL, 0).to(device)
    best, _ = loop.fit(network, *parts(device), RECIPE, seed=0, checkpoints=checkpoints, on_epoch=on_epoch)
    return best.state_dict()


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_step_reads_nothing_back(optimizer):
    split, _ = parts(torch.device("cpu"))
    trainer = Trainer(build(SMALL, 0), Recipe(optimizer=optimizer, distortion=RECIPE.distortion), 10, 0)
    with ReadingBack() as reading:
        torch.ones(1).item()
        assert len(reading.seen) == 1
        trainer.learn(*split.batch(torch.arange(20)), "fp32")
    assert len(reading.seen) == 1


def test_a_rate_kept_as_a_tensor_moves_the_weights_as_a_number_does():
    moved = []
    for rate in (0.1, torch.tensor(0.1)):
        weight = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
        weight.grad = torch.ones(2, 3) + torch.eye(2, 3)
        Muon([weight], rate, weight_decay=0.1).step()
        moved.append(weight.detach())
    assert torch.allclose(*moved)
    assert not torch.allclose(moved[0], torch.arange(6.0).view(2, 3))


@needs_cuda
def test_a_recorded_training_ends_in_the_bits_of_a_plain_one(monkeypatch):
    device = torch.device("cuda")
    found = trained(device)
    monkeypatch.setattr(loop, "as_cuda_graph", lambda step, noise: step)
    assert same(found, trained(device))


@needs_cuda
def test_an_interrupted_recorded_training_resumes_to_the_same_bits(tmp_path):
    def stop(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    device = torch.device("cuda")
    assert len(parts(device)[0]) // RECIPE.batch_size > WARM_UP
    with pytest.raises(KeyboardInterrupt):
        trained(device, tmp_path, stop)
    assert same(trained(device, tmp_path), trained(device))
