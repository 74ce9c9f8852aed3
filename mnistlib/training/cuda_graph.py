"""A training step as a CUDA graph: launching its kernels one by one takes longer than computing them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], tuple[Tensor, Tensor]]
WARM_UP = 3


def as_cuda_graph(step: Step, noise: torch.Generator) -> Step:
    """Return the step itself on a CPU, a `CudaGraphStep` on CUDA; `noise` is the device's random generator."""
    return CudaGraphStep(step, noise) if noise.device.type == "cuda" else step


class CudaGraphStep:
    """Run a step three times, then record it as a CUDA graph and replay that graph from then on.

    All tensors that the step reads or changes must keep their place on the GPU. Only the values of its argument may
    change. The next call overwrites the returned tensors. Random numbers continue as without a graph.
    https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/
    """

    def __init__(self, step: Step, noise: torch.Generator) -> None:
        self.step, self.calls = step, 0
        self.aside, self.graph = torch.cuda.Stream(noise.device), torch.cuda.CUDAGraph()
        self.graph.register_generator_state(noise)

    def __call__(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        if self.calls <= WARM_UP:
            return self.warm_up(chosen)
        if self.calls == WARM_UP + 1:
            self.chosen = chosen.clone()
            with torch.cuda.graph(self.graph, stream=self.aside):
                self.results = self.step(self.chosen)
        self.chosen.copy_(chosen)
        self.graph.replay()
        return self.results

    def warm_up(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Run the step on the recording stream, so that libraries and optimizers create their state."""
        present = torch.cuda.current_stream(chosen.device)
        self.aside.wait_stream(present)
        with torch.cuda.stream(self.aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This instance was constructed with capturable")
            results = self.step(chosen)
        present.wait_stream(self.aside)
        return results
