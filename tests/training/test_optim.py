"""What moves the weights, against hand and torch's own linear algebra."""

import subprocess
import sys

import pytest
import torch

from mnistlib.core.errors import RunError
from mnistlib.training.model import Architecture, build
from mnistlib.training.optim import AdamW, Muon, iterate, make_optimizers, orthogonalize, parameter_groups, polynomial

SMALL = Architecture(widths=(8, 16, 32), hidden=32)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (16, 16), (70, 200), (200, 70)])
def test_an_orthogonal_step_keeps_directions_and_evens_their_sizes(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalize(matrix)
    sizes = torch.diagonal(u.T @ found @ v.T)
    assert found.shape == matrix.shape
    assert ((sizes > 0.3) & (sizes < 1.4)).all()
    assert torch.allclose(u @ torch.diag(sizes) @ v, found, atol=1e-4)


@pytest.mark.parametrize("falling", [1, 3])
def test_the_polynomial_of_the_square_does_what_iterating_does(falling):
    noise = torch.Generator().manual_seed(0)
    x = torch.logspace(0, -falling, 24)[:, None] * torch.randn(24, 200, generator=noise)
    x /= x.norm()
    assert torch.allclose(polynomial(x @ x.T) @ x, iterate(x), atol=1e-4)


def test_a_step_in_half_precision_keeps_its_length():
    noise = torch.Generator().manual_seed(0)
    mixed = torch.randn(128, 128, generator=noise) * torch.logspace(0, -2, 128)
    matrix = mixed @ torch.randn(128, 288, generator=noise)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = orthogonalize(matrix)
    assert rounded.dtype == torch.bfloat16
    assert torch.linalg.svdvals(rounded.float()).max() < 1.3


@pytest.mark.parametrize("shape", [(16, 25), (96, 432), (432, 96)])
def test_small_products_on_a_cpu_are_not_rounded_to_half_precision(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = orthogonalize(matrix)
    assert torch.equal(found, orthogonalize(matrix))


def test_a_step_by_hand():
    weight = torch.nn.Parameter(torch.tensor([[2.0, 0.0]]))
    muon = Muon([weight], lr=0.1, momentum=0.5, weight_decay=0.2)
    weight.grad = torch.tensor([[3.0, 0.0]])
    size = float(orthogonalize(torch.tensor([[1.0, 0.0]]))[0, 0])
    muon.step()
    assert weight.tolist() == [[pytest.approx(2 * (1 - 0.1 * 0.2) - 0.1 * size), 0.0]]
    weight.grad = torch.tensor([[0.0, 4.0]])
    muon.step()
    ahead = orthogonalize(torch.tensor([[0.5 * 1.5, 4 + 0.5 * 4]]))
    assert muon.state[weight]["velocity"].tolist() == [[1.5, 4.0]]
    assert float(ahead[0, 1]) > float(ahead[0, 0]) > 0


def test_muon_takes_kernels_and_the_hidden_matrix_and_adamw_the_rest():
    network = build(SMALL, 0)
    adamw, muon = make_optimizers(network, "muon", 0.01, 0.05, 0.1)
    shapes = [tuple(p.shape) for group in muon.param_groups for p in group["params"]]
    assert [len(shape) for shape in shapes] == [4, 4, 4, 2]
    taken = {id(p) for o in (adamw, muon) for group in o.param_groups for p in group["params"]}
    assert taken == {id(p) for p in network.parameters()}
    assert network.head[1].weight in set(adamw.param_groups[0]["params"])
    (alone,) = make_optimizers(network, "adamw", 0.01, 0.05, 0.1)
    assert sum(len(group["params"]) for group in alone.param_groups) == len(list(network.parameters()))


def test_biases_and_norms_do_not_decay():
    decayed, plain = parameter_groups(build(SMALL, 0), 0.1)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in plain["params"])


def test_adamw_is_torchs_own_to_the_bit():
    start = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    weights = []
    for kind in (AdamW, torch.optim.AdamW):
        weight = torch.nn.Parameter(start.clone())
        one = kind([weight], lr=0.01, weight_decay=0.1, fused=True)
        for step in range(5):
            weight.grad = start.roll(step)
            one.step()
            one.load_state_dict(one.state_dict())
        weights.append(weight.detach())
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], start)


A_STEP = """
import sys, torch
from mnistlib.core.files import RunError
from mnistlib.training.model import Architecture, build
from mnistlib.training.trainer import Recipe, Trainer
trainer = Trainer(build(Architecture(), 0), Recipe(optimizer="muon"), 2, 0)
trainer.learn(torch.rand(8, 1, 28, 28), torch.arange(8), "fp32")
trainer.advance()
trainer.restore(trainer.state())
print(trainer.step, "torch._dynamo" in sys.modules)
"""


def test_a_training_does_not_wait_for_a_compiler_that_it_does_not_use():
    done = subprocess.run([sys.executable, "-c", A_STEP], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(RunError, match=r"train\.optimizer is 'foo': it can be muon or adamw"):
        make_optimizers(build(SMALL, 0), "foo", 0.01, 0.05, 0.1)
