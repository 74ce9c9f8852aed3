"""What moves the weights: Muon for kernels and the hidden matrix, AdamW for the rest; or AdamW for all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mnistlib.core.errors import RunError

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
WORTH_SQUARING = 64  # rows from which fewer products are faster
WORTH_HALVING = 128  # rows from which half precision is faster on a CPU


class Optimizer(torch.optim.Optimizer):
    """torch's own, without what torch wraps around its methods: it imports a compiler, used or not, for a second."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class AdamW(Optimizer, torch.optim.AdamW):
    """Loshchilov & Hutter 2019, as torch has it."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class Muon(Optimizer):
    """Momentum whose step is made orthogonal (Jordan et al. 2024, "Muon"), for kernels and hidden matrices.

    `lr`: length of a step, a number or a tensor of one; `momentum`: Nesterov's; `weight_decay`: decoupled, per step,
    times `lr`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; a kernel counts as a matrix of its output channels' rows."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                state = self.state[weight]
                if not state:
                    state["velocity"] = torch.zeros_like(weight)
                velocity = state["velocity"]
                velocity.mul_(group["momentum"]).add_(weight.grad)
                ahead = weight.grad.add(velocity, alpha=group["momentum"]).reshape(len(weight), -1)
                length = group["lr"] * max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(orthogonalize(ahead).mul_(length).view_as(weight))


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix with all singular values brought near 1, by a polynomial of its own (a Newton-Schulz iteration).

    float32 M×N; the values end in about 0.7…1.2, which is near enough for a step. Where autocast has half precision it
    pays on a GPU and, on a CPU, in large products alone. In float32 a large matrix's polynomial is found from the
    square XXᵀ, which is smaller, and X is multiplied once: half the products. Not in half precision, in which the
    square no longer tells small values from none.
    """
    kind = matrix.device.type
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    if torch.is_autocast_enabled(kind) and (kind != "cpu" or len(x) >= WORTH_HALVING):
        x = iterate(x)
    else:
        with torch.autocast(kind, enabled=False):
            x = polynomial(x @ x.T) @ x if len(x) >= WORTH_SQUARING else iterate(x)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def iterate(x: Tensor) -> Tensor:
    """p(XXᵀ)X, again and again."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


def polynomial(square: Tensor) -> Tensor:
    """The symmetric matrix by which `iterate` multiplies an X with this XXᵀ, all iterations in one."""
    a, b, c = COEFFICIENTS
    whole = torch.eye(len(square), dtype=square.dtype, device=square.device)
    for _ in range(ITERATIONS):
        factor = torch.addmm(square, square, square, beta=b, alpha=c)
        factor.diagonal().add_(a)
        whole, square = factor @ whole, factor @ square @ factor
    return whole


def make_optimizers(
    network: nn.Module, optimizer: str, learning_rate: float, muon_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """The optimizers that share a network's parameters, each at its peak rate.

    `optimizer` is `adamw` (Loshchilov & Hutter 2019) or `muon`; the last layer, whose rows are classes and not
    features, is AdamW's in either case. Raises RunError for another.
    """
    if optimizer not in ("adamw", "muon"):
        raise RunError(f"train.optimizer is {optimizer!r}: it can be muon or adamw")
    matrices = [p for p in network.parameters() if p.ndim > 1] if optimizer == "muon" else []
    ours, head = matrices[:-1], matrices[-1:]
    theirs = parameter_groups(network, weight_decay)
    if ours:
        theirs[0]["params"] = head
    on_gpu = next(network.parameters()).is_cuda
    optimizers: list[torch.optim.Optimizer] = [AdamW(theirs, lr=learning_rate, fused=True, capturable=on_gpu)]
    if ours:
        optimizers.append(Muon(ours, muon_rate, weight_decay=weight_decay))
    settle_rates(optimizers)
    return optimizers


def settle_rates(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """On a GPU, keep each group's rate there: a recorded step reads what the schedule has put into it."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        device = group["params"][0].device
        if device.type == "cuda":
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay for matrices and kernels, none for biases and batch norm."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
