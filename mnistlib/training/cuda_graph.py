"""A step of training, recorded on a GPU and played again: to launch its kernels takes longer than to compute them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], tuple[Tensor, Tensor]]
WARM_UP = 3


def as_cuda_graph(step: Step, noise: torch.Generator) -> Step:
    """The step as it is, or on CUDA a `CudaGraphStep` of it; `noise` lies on the device and is what it draws from."""
    return CudaGraphStep(step, noise) if noise.device.type == "cuda" else step


class CudaGraphStep:
    """Takes a step three times as it is, then records it as a CUDA graph and from then on plays that.

    All that the step reads must stay where it is on the GPU, and what it changes it must change there; of the
    tensor it is given, only the values may change. What it returns is overwritten by the next call. Random numbers
    go on as they would without recording.
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
        """A step as it is, on the stream that will record: libraries get ready, the optimizers make their state."""
        present = torch.cuda.current_stream(chosen.device)
        self.aside.wait_stream(present)
        with torch.cuda.stream(self.aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This instance was constructed with capturable")
            results = self.step(chosen)
        present.wait_stream(self.aside)
        return results
