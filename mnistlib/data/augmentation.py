"""Data augmentation: distort a batch of pictures as whole tensors, without Python code per image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

CLOUDS = 5  # random levels along each axis


@dataclass(frozen=True)
class Distortion:
    """The limits of random affine distortion; each draw is uniform between minus and plus the limit.

    `rotate` in degrees; `shear` and `scale` as fractions; `shift` as a fraction of the half width (0.1 of 14 pixels is
    1.4 pixels). `undistorted`: the share of pictures left as they are. Interpolation blurs, and a network that saw only
    blurred pictures would meet sharper ones later. `background`: the share laid on a random background.
    """

    rotate: float = 0.0
    shear: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    undistorted: float = 0.0
    background: float = 0.0

    @property
    def is_none(self) -> bool:
        return not (self.rotate or self.shear or self.scale or self.shift)

    def further(self, times: float) -> Distortion:
        """Return the limits multiplied by `times`, with no picture left as it is, and all of them on black."""
        return Distortion(self.rotate * times, self.shear * times, self.scale * times, self.shift * times)


def distort(images: Tensor, distortion: Distortion, generator: torch.Generator) -> Tensor:
    """Apply a random affine transform to each picture, and lay some on a random background.

    Pixels from outside are black before that.

    Args:
        images: float N×1×H×W in 0…1, background 0, in random order.
        distortion: the limits.
        generator: source of the random numbers, on the device of the images.

    Returns:
        float N×1×H×W.
    """
    if not distortion.is_none:
        grid = affine_grid(random_maps(len(images), distortion, generator, images.device), *images.shape[-2:])
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return lay_on_backgrounds(images, distortion.background, generator) if distortion.background else images


def lay_on_backgrounds(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Lay the first `share` of the pictures N×1×H×W on backgrounds, two in five of them even, the others cloudy.

    The ink keeps a quarter to all of its contrast, and the background reaches up to three quarters of white.
    """
    count = round(share * len(images))
    drawn = torch.rand(count, 3, 1, 1, 1, generator=generator, device=images.device)
    contrast, level, is_even = 0.25 + 0.75 * drawn[:, 0], 0.75 * drawn[:, 1], drawn[:, 2] < 0.4
    clouds = torch.rand(count, 1, CLOUDS, CLOUDS, generator=generator, device=images.device)
    clouds = torch.where(is_even, clouds[:, :, :1, :1].clamp(min=0.3), clouds)
    field = F.interpolate(clouds, images.shape[-2:], mode="bilinear", align_corners=True)
    return torch.cat([(contrast * images[:count] + level * field).clamp(0, 1), images[count:]])


def random_maps(count: int, d: Distortion, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw affine maps N×2×3 from output to input coordinates in −1…1."""
    drawn = torch.rand(8, count, generator=generator, device=device)
    u = (2 * drawn[:7] - 1) * (drawn[7] >= d.undistorted)
    angle = u[0] * (d.rotate * torch.pi / 180)
    shear_x, shear_y = u[1] * d.shear, u[2] * d.shear
    scale_x, scale_y = 1 + u[3] * d.scale, 1 + u[4] * d.scale
    shift_x, shift_y = u[5] * d.shift, u[6] * d.shift
    cos, sin = torch.cos(angle), torch.sin(angle)
    top = torch.stack([cos * scale_x - sin * shear_y, cos * shear_x - sin * scale_y, shift_x], dim=1)
    low = torch.stack([sin * scale_x + cos * shear_y, sin * shear_x + cos * scale_y, shift_y], dim=1)
    return torch.stack([top, low], dim=1)


def affine_grid(maps: Tensor, height: int, width: int) -> Tensor:
    """Return the input coordinates of each output pixel's centre, N×H×W×2 in −1…1, by one matrix product.

    `F.affine_grid` returns the same and takes several times as long.
    """
    y, x = (((torch.arange(n, device=maps.device) + 0.5) * 2 / n - 1) for n in (height, width))
    centres = torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones_like(x).repeat(height)])
    return (maps.reshape(-1, 3) @ centres).view(-1, 2, height, width).permute(0, 2, 3, 1)
