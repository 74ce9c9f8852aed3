"""Device, precision, threads and random state of training."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from mnistlib.core.errors import RunError
from mnistlib.core.system_info import cores, threads

FEW = 16
WITH_BF16 = ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10")  # oneDNN's names of instruction sets with bf16
if "OMP_NUM_THREADS" not in os.environ:  # torch counts the machine's cores; a container may have fewer
    torch.set_num_threads(min(torch.get_num_threads(), threads()))


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device to train on.

    Args:
        wanted: "auto" (CUDA, else Apple MPS, else CPU), "cuda", "mps" or "cpu".

    Raises:
        RunError: when this machine does not have the wanted device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(wanted, False):
        found = ", ".join(name for name, ok in there.items() if ok)
        raise RunError(f"train.device is {wanted!r}, but this machine has: {found}. Use 'auto'.")
    return torch.device(wanted)


def pick_precision(wanted: str, device: torch.device) -> str:
    """Return the precision of the forward pass, "bf16" or "fp32".

    Args:
        wanted: "auto" (bf16 where the processor computes natively in it), "fp32" or "bf16".
        device: the device to train on.

    Raises:
        RunError: for any other value.
    """
    if wanted not in ("auto", "fp32", "bf16"):
        raise RunError(f"train.precision is {wanted!r}: it can be auto, fp32 or bf16")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bf16 natively (AVX-512 BF16 or AMX) and oneDNN may use that.

    Emulated bf16 is slower than fp32: ten times where `ONEDNN_MAX_CPU_ISA` allows AVX2 only.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "ALL"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
    return native and any(name in limit.upper() for name in WITH_BF16)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context of the forward pass; `precision` is "bf16" or "fp32"."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def one_thread_for(count: int) -> Iterator[None]:
    """Use one thread within the block when it computes at most 16 images.

    Distributing a few images over threads costs more time than it saves, above all beside a busy process.

    Args:
        count: number of images.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if count <= FEW else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def repeatable() -> Iterator[None]:
    """Allow only cuDNN's deterministic algorithms within the block."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def random_state(device: torch.device) -> list[torch.Tensor]:
    """Return the states of torch's global generators, CPU and device, uint8 each: dropout draws from them."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def set_random_state(device: torch.device, states: list[torch.Tensor]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def describe_processor(device: torch.device) -> str:
    """Return what the arithmetic depends on: the GPU's name, or the CPU's instruction set."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def describe_device(device: torch.device, precision: str) -> str:
    """Return device, threads and precision as one line for logs and reports."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {precision}"
    name = platform.processor() or platform.machine()
    return f"{device.type} ({name}, {torch.get_num_threads()} threads of {cores()} cores), {precision}"
