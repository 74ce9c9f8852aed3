"""The trained network made ready for answering: fewer steps, the same answers."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from mnistlib.training.model import DigitNet


class FusedNet(nn.Module):
    """A trained network for answering alone: the same logits as `network` in eval mode, in fewer steps.

    The pixels' mean and spread lie in the first convolution, each batch norm in the layer before it; those behind
    a pooling stay, for a channel whose scale is negative would be pooled the other way round.
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
            *fold_norms(list(trained.convolutions)), flatten, fuse_linear_bn_eval(linear, norm), relu, trained.head[1]
        ).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def fold_norms(layers: list[nn.Module]) -> list[nn.Module]:
    """Convolutions with the batch norm that follows them at once fused in."""
    fused: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and isinstance(fused[-1], nn.Conv2d):
            fused[-1] = fuse_conv_bn_eval(fused[-1], layer)
        else:
            fused.append(layer)
    return fused
