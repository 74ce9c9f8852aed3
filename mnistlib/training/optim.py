"""Optimizers: Muon for convolutions and the hidden matrix with AdamW for the rest, or AdamW for all."""

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
    """torch's optimizer without its wrapped methods: they import a compiler, which takes a second."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class AdamW(Optimizer, torch.optim.AdamW):
    """torch's AdamW (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101) without the compiler's import."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class Muon(Optimizer):
    """Momentum whose step is orthogonalized (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

    Args:
        parameters: convolution kernels and hidden matrices.
        lr: length of a step, a number or a scalar tensor.
        momentum: of Nesterov's kind, in 0…1.
        weight_decay: decoupled; each step multiplies it by `lr`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update each parameter that has a gradient; a kernel counts as a matrix with one row per output channel."""
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
    """Bring all singular values of a float32 M×N matrix near 1 (0.7…1.2) by a Newton-Schulz iteration.

    Under autocast, half precision pays off on a GPU and, on a CPU, for large products alone. In float32, a large matrix
    is multiplied once by a polynomial of XXᵀ, which halves the products. In half precision XXᵀ loses small values.
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
    """Apply p(XXᵀ)X five times."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


def polynomial(square: Tensor) -> Tensor:
    """Return the symmetric matrix that equals all iterations of `iterate` for an X with this XXᵀ."""
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
    """Return the optimizers of a network, each at its peak rate.

    Args:
        network: the network on its device.
        optimizer: "adamw" or "muon"; the last layer is AdamW's in both cases, because its rows are classes.
        learning_rate: AdamW's peak rate.
        muon_rate: Muon's peak rate.
        weight_decay: decoupled, for matrices and kernels.

    Raises:
        RunError: for another optimizer.
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
    """Move each group's rate to the GPU, where a CUDA graph reads what the schedule has written."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        device = group["params"][0].device
        if device.type == "cuda":
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's groups: decay for matrices and kernels, none for biases and batch norm."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
