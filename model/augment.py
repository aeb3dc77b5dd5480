"""Augmentation of whole batches on the device.

Each function is one idea, which a recipe switches. Random choices come from a generator, but for
the flips, which follow from row, epoch and seed.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def flip_alternating(images: Tensor, indices: Tensor, epoch: int, seed: int) -> Tensor:
    """Mirrors each picture in every other epoch; whether it starts mirrored is random per picture.

    Over two epochs the network sees both views of every picture, where independent coin flips
    would show half of them the same way twice (Jordan 2024, arXiv:2404.00498).

    Args:
        images: (N, C, H, W).
        indices: Row of each picture in its dataset, int64 (N,).
        epoch: Counts from 0.
        seed: Picks the first view.

    Returns:
        The pictures, some mirrored, (N, C, H, W).
    """
    # A multiplicative hash (Knuth): the coin belongs to the picture, on any device and process.
    coin = ((indices + 31 * seed + 1) * 2654435761 % 2**32) >> 16
    mirrored = (coin + epoch) % 2 == 1  # (N,)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def translate(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Shifts each picture by up to `pad` pixels each way, the border filled by reflection.

    Args:
        images: (N, C, H, W), any type.
        pad: Largest shift in pixels, below H and W.
        generator: Source of chance, on the images' device.

    Returns:
        (N, C, H, W).
    """
    n, _, height, width = images.shape
    on = images.device
    down, right = torch.randint(0, 2 * pad + 1, (2, n), generator=generator, device=on)
    for axis, size in ((2, height), (3, width)):  # F.pad does not reflect bytes on every device
        before = images.narrow(axis, 1, pad).flip(axis)
        after = images.narrow(axis, size - 1 - pad, pad).flip(axis)
        images = torch.cat((before, images, after), axis)  # (N, C, H + 2 * pad, W + 2 * pad)
    # A view of all shifts: taking one a picture copies whole rows, not pixels one by one.
    shifts = images.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 1 + 2 * pad, same, H, W)
    return shifts[torch.arange(n, device=on), :, down, right]  # (N, C, H, W)


def cutout(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Blanks a square at a random place in each picture (DeVries and Taylor 2017, 1708.04552).

    Args:
        images: Normalised pictures (N, C, H, W): 0 is the mean colour.
        size: Side of the square in pixels; it lies wholly inside.
        generator: Source of chance, on the images' device.

    Returns:
        (N, C, H, W).
    """
    n, _, height, width = images.shape
    device = images.device

    def inside(length: int) -> Tensor:
        last = max(length - size, 0)
        start = torch.randint(0, last + 1, (n, 1), generator=generator, device=device)
        at = torch.arange(length, device=device) - start  # (N, length)
        return (at >= 0) & (at < size)

    hole = inside(height)[:, None, :, None] & inside(width)[:, None, None, :]  # (N, 1, H, W)
    return images.masked_fill(hole, 0)


def cutmix(
    images: Tensor, targets: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Puts a patch of another picture into some, and as much of its target into theirs.

    The patch's area is uniform in [0, 1], its centre anywhere, so that it may reach beyond the
    border (Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899).

    Args:
        images: In random order, (N, C, H, W), any type.
        targets: Probabilities of the classes, (N, K).
        share: Of the pictures, the first ones, in [0, 1]; patches come from those that follow, and
            after the last one from the first ones again.
        generator: Source of chance, on the images' device.

    Returns:
        Pictures (N, C, H, W) and targets (N, K).
    """
    count = round(share * len(images))
    height, width = images.shape[2:]

    def inside(length: int, side: Tensor) -> Tensor:
        centre = torch.rand(count, 1, generator=generator, device=images.device) * length
        at = torch.arange(length, device=images.device) + 0.5  # middles of pixels
        return (at - centre).abs() < side[:, None] * length / 2  # (n, length)

    side = torch.rand(count, generator=generator, device=images.device).sqrt()  # (n,)
    patch = inside(height, side)[:, None, :, None] & inside(width, side)[:, None, None, :]
    part = patch.float().mean((1, 2, 3))[:, None]  # (n, 1): what the patch really covers
    ahead = min(count, len(images) - 1)  # where all are changed, none from itself
    others = images.roll(-ahead, 0)[:count], targets.roll(-ahead, 0)[:count]
    mixed = torch.where(patch, others[0], images[:count])  # (n, C, H, W)
    told = targets[:count].lerp(others[1], part)  # (n, K)
    return torch.cat((mixed, images[count:])), torch.cat((told, targets[count:]))


def jigsaw(images: Tensor, generator: torch.Generator) -> Tensor:
    """Cuts pictures into squares and shuffles those: of real parts, a picture of nothing.

    A third of the pictures each has 2 x 2, 4 x 4 and 8 x 8 pieces; a margin that makes no whole
    piece stays. Hendrycks et al. tell such pictures from known ones, arXiv:1812.04606.

    Args:
        images: (N, C, H, W), any type.
        generator: Source of chance, on the images' device.

    Returns:
        (N, C, H, W).
    """
    done = []
    for part, n in zip(images.tensor_split(3), (2, 4, 8), strict=True):
        order = torch.rand(len(part), n * n, generator=generator, device=part.device).argsort(1)
        high, wide = part.shape[2] // n, part.shape[3] // n  # of a piece
        pieces = part[:, :, : n * high, : n * wide].unflatten(2, (n, high)).unflatten(4, (n, wide))
        pieces = pieces.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (N / 3, n n, C, high, wide)
        pieces = pieces[torch.arange(len(part), device=part.device)[:, None], order]
        pieces = pieces.unflatten(1, (n, n)).permute(0, 3, 1, 4, 2, 5)  # (N/3, C, n, high, n, wide)
        part = part.clone()
        part[:, :, : n * high, : n * wide] = pieces.flatten(4).flatten(2, 3)
        done.append(part)
    return torch.cat(done)  # (N, C, H, W)


def resize(images: Tensor, size: int) -> Tensor:
    """Scales float pictures to (N, C, size, size), antialiased; early steps can be small."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def normalize(
    images: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor
) -> Tensor:
    """Turns bytes into floats of zero mean and unit variance, in channels_last order.

    Args:
        images: (N, C, H, W), bytes or floats from 0 to 255.
        mean: Of each channel, in [0, 1].
        std: Of each channel, in [0, 1].

    Returns:
        float32 (N, C, H, W).
    """
    on: Any = dict(device=images.device, dtype=torch.float32)
    scale = 1 / (255 * torch.as_tensor(std, **on))  # (C,)
    shift = -torch.as_tensor(mean, **on) * 255 * scale  # (C,)
    images = images.contiguous(memory_format=torch.channels_last).float()
    return torch.addcmul(shift[:, None, None], images, scale[:, None, None])
