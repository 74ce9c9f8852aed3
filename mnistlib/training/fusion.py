"""The trained network prepared for inference: batch norm fused into convolutions, same logits."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from mnistlib.training.model import DigitNet


class FusedNet(nn.Module):
    """A network for inference alone, with the logits of `network` in eval mode in fewer steps.

    The first convolution takes over the normalization of the pixels. Each batch norm is fused into the layer before it.
    A batch norm behind a pooling stays: a negative scale would turn the maximum into a minimum.

    Args:
        network: the trained network; it is copied, not changed.
    """

    def __init__(self, network: DigitNet) -> None:
        super().__init__()
        self.architecture = a = network.architecture
        trained: Any = copy.deepcopy(network).eval()
        first = trained.convolutions[0]
        first.bias = nn.Parameter(-first.weight.sum((1, 2, 3)) * (a.mean / a.std))
        first.weight.data /= a.std
        _, flatten, linear, norm, relu = trained.embedding
        self.layers = nn.Sequential(
            *fuse_norms(list(trained.convolutions)), flatten, fuse_linear_bn_eval(linear, norm), relu, trained.head[1]
        ).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits float32 N×classes of images float32 N×1×28×28 in 0…1."""
        logits: Tensor = self.layers(images)
        return logits


def fuse_norms(layers: list[nn.Module]) -> list[nn.Module]:
    """Fuse each batch norm into the convolution directly before it."""
    fused: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and isinstance(fused[-1], nn.Conv2d):
            fused[-1] = fuse_conv_bn_eval(fused[-1], layer)
        else:
            fused.append(layer)
    return fused
