"""What cameras, scaling and compression do to a picture, as augmentation on the device.

Test images of CIFAR-10 are clean, photographs are not. Each function here is one way in which they
differ, made for whole batches: no loop over pictures, and nothing that waits for a GPU. All take
floats in [0, 1], (N, 3, H, W), and draw random numbers from a generator on the same device; some
give values beyond, which `distort` cuts off at last.
"""

import functools
import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .recipe import Recipe

Change = Callable[[Tensor, torch.Generator], Tensor]

# Quantisation tables of the JPEG standard, annex K: luminance, chrominance.
LUMA = """
    16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55
    14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92
    49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""
CHROMA = """
    17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
"""
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def on_a_share(images: Tensor, share: float, generator: torch.Generator, change: Change) -> Tensor:
    """Changes a random share of a batch; how many is fixed, so that shapes are known ahead.

    Args:
        images: (N, 3, H, W).
        share: In [0, 1]; rounded to whole pictures.
        generator: Of the same device.
        change: Maps some of the pictures, and the generator, to as many changed ones.
    """
    count = round(share * len(images))
    if not count:
        return images
    rows = torch.rand(len(images), generator=generator, device=images.device)
    rows = rows.argsort()[:count]  # (count,)
    return images.index_copy(0, rows, change(images[rows], generator).to(images.dtype))


def uniform(n: int, low: float, high: float, generator: torch.Generator, dims: int = 4) -> Tensor:
    """One number a picture, uniform in [low, high): (n, 1, 1, 1) with four `dims`."""
    values = torch.rand(n, generator=generator, device=generator.device)  # (n,)
    return (low + (high - low) * values).view(n, *(1,) * (dims - 1))


def warp(
    images: Tensor,
    generator: torch.Generator,
    *,
    zoom: tuple[float, float] = (0.5, 1.6),
    aspect: float = 1.3,
    degrees: float = 15.0,
    shift: float = 0.12,
) -> Tensor:
    """Scales, stretches, turns and shifts each picture; the border is filled by reflection.

    Photographs show things smaller, larger and more askew than CIFAR-10's tight squares. Source of
    random scale and aspect: Szegedy et al., "Going deeper with convolutions", CVPR 2015.

    Args:
        images: (N, 3, H, W).
        generator: Of the same device.
        zoom: Smallest and largest size of what is shown, as a factor; log-uniform.
        aspect: Largest ratio by which width and height change against each other.
        degrees: Largest turn each way.
        shift: Largest shift each way, as a share of the side.
    """
    n = len(images)
    size = uniform(n, math.log(zoom[0]), math.log(zoom[1]), generator, 1).exp()  # (N,)
    stretch = (uniform(n, -0.5, 0.5, generator, 1) * math.log(aspect)).exp()
    angle = uniform(n, -1, 1, generator, 1) * math.radians(degrees)
    x_scale, y_scale = 1 / (size * stretch), stretch / size
    # The grid's coordinates run from -1 to 1: a side is 2 long.
    place = [uniform(n, -2 * shift, 2 * shift, generator, 1) for _ in range(2)]
    matrix = torch.stack(  # from a place in the new picture to one in the old
        [
            *(angle.cos() * x_scale, -angle.sin() * y_scale, place[0]),
            *(angle.sin() * x_scale, angle.cos() * y_scale, place[1]),
        ],
        dim=1,
    ).view(n, 2, 3)  # (N, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def recolour(images: Tensor, generator: torch.Generator) -> Tensor:
    """Changes saturation, contrast, gamma and brightness of each picture, down to grey and faint.

    Light and white balance of photographs vary more than those of CIFAR-10. Source: Howard, "Some
    improvements on deep convolutional neural network based image classification", 2013, 1312.5402.
    """
    n = len(images)
    grey = images.mean(dim=1, keepdim=True)  # (N, 1, H, W)
    images = grey + (images - grey) * uniform(n, 0, 1.6, generator)
    images = images.clamp(0, 1) ** (uniform(n, -1, 1, generator) * math.log(1.6)).exp()
    middle = images.mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    contrast = (uniform(n, math.log(0.25), math.log(1.5), generator)).exp()
    return middle + (images - middle) * contrast + uniform(n, -0.2, 0.2, generator)


def add_noise(images: Tensor, generator: torch.Generator, *, largest: float = 0.1) -> Tensor:
    """Adds Gaussian noise; the standard deviation of each picture is uniform from 0 to `largest`.

    Source: Rusak et al., "A simple way to make neural networks robust against diverse image
    corruptions", ECCV 2020, 2001.06057.
    """
    noise = torch.empty_like(images).normal_(generator=generator)
    return images + noise * uniform(len(images), 0, largest, generator)


def resample(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blurs, sharpens, pixelates or coarsens each picture, one of these at random.

    All four are linear and the same along rows and columns, so each is one matrix on both sides of
    the picture; the matrices are made once.
    """
    bank = _filters(images.shape[-1], str(images.device))  # (B, S, S)
    which = torch.randint(len(bank), (len(images),), generator=generator, device=images.device)
    rows = bank[which][:, None]  # (N, 1, S, S)
    return rows @ images @ rows.mT  # (N, 3, S, S)


@functools.cache
def _filters(size: int, device: str) -> Tensor:
    """Matrices (B, size, size) that blur, sharpen, pixelate or coarsen a row of pixels.

    A quarter each: Gaussian blur of 0.3 to 1.4 pixels; sharpening by half to twice what a blur of
    one pixel takes away; block averages of 12/32 to 30/32 of the resolution; the same averages
    scaled up smoothly, as when a small picture was enlarged.
    """
    eye = torch.eye(size)  # (S, S): filtered, its columns are those of the filter's matrix
    rows: list[Tensor] = []
    at = torch.arange(size, dtype=torch.float32)
    for i in range(16):
        sigma = 0.3 + 1.1 * i / 15
        rows.append(torch.softmax(-((at[:, None] - at) ** 2) / (2 * sigma**2), dim=1))
    soft = torch.softmax(-((at[:, None] - at) ** 2) / 2, dim=1)
    rows += [eye + (0.5 + 1.5 * i / 15) * (eye - soft) for i in range(16)]
    for mode in ("nearest", "linear"):
        for i in range(16):
            small = round(size * (12 + 18 * i / 15) / 32)
            coarse = F.interpolate(eye[None], size=small, mode="area")  # (1, S, small)
            rows.append(F.interpolate(coarse, size=size, mode=mode)[0].T)
    return torch.stack(rows).to(device)


def jpeg(
    images: Tensor, generator: torch.Generator, *, quality: tuple[float, float] = (25, 95)
) -> Tensor:
    """Compresses each picture as a JPEG file would, at a random quality, and opens it again.

    Discrete cosine transform of 8 x 8 blocks, rounded by the standard's tables, colours at half
    the resolution: what Pillow does by default, but for rounding in between. Gradients do not pass.

    Args:
        images: (N, 3, H, W).
        generator: Of the same device.
        quality: Lowest and highest, as in Pillow, 1 to 100.
    """
    chosen = uniform(len(images), *quality, generator, 1)  # (N,)
    return compress(images, chosen)


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) as JPEG files of some qualities (N,) would show them."""
    height, width = images.shape[2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")  # whole blocks
    colours, back = _colours(str(images.device))  # (3, 3) each
    levels = (padded.clamp(0, 1) * 255).round()
    channels = torch.einsum("ij,njhw->nihw", colours, levels)  # luma, and two of colour around 0
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None]  # (N, 1)
    luma = _quantised(channels[:, :1] - 128, _table(LUMA, str(images.device)), scale) + 128
    small = F.avg_pool2d(channels[:, 1:], 2)  # (N, 2, H / 2, W / 2)
    small = _quantised(small, _table(CHROMA, str(images.device)), scale)
    chroma = F.interpolate(small, scale_factor=2, mode="bilinear")  # (N, 2, H, W)
    channels = torch.cat((luma, chroma), dim=1)  # (N, 3, H, W)
    levels = torch.einsum("ij,njhw->nihw", back, channels).round().clamp(0, 255)
    return (levels / 255)[..., :height, :width]


def _quantised(channels: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """Rounds the cosine transform of 8 x 8 blocks to multiples of a table.

    Args:
        channels: (N, C, H, W), H and W multiples of 8.
        table: (64,).
        scale: Of the table in per cent, (N, 1).
    """
    n, chans, height, width = channels.shape
    step = ((table * scale + 50) / 100).floor().clamp(1, 255)[:, None]  # (N, 1, 64)
    cosines = _cosines(str(channels.device))  # (64, 64)
    blocks = channels.reshape(n, chans, height // 8, 8, width // 8, 8).transpose(3, 4)
    blocks = blocks.reshape(n, -1, 64)  # (N, blocks, 64)
    blocks = ((blocks @ cosines.T / step).round() * step) @ cosines  # (N, blocks, 64)
    blocks = blocks.view(n, chans, height // 8, width // 8, 8, 8).transpose(3, 4)
    return blocks.reshape(n, chans, height, width)


@functools.cache
def _cosines(device: str) -> Tensor:
    """The two-dimensional cosine transform of a flattened 8 x 8 block, orthogonal, (64, 64)."""
    at = torch.arange(8, dtype=torch.float64)
    one = torch.cos(math.pi * at[:, None] * (2 * at + 1) / 16) / 2  # (8, 8)
    one[0] /= math.sqrt(2)
    return torch.kron(one, one).float().to(device)


@functools.cache
def _colours(device: str) -> tuple[Tensor, Tensor]:
    """From RGB to luma and two colours, (3, 3), and back, (3, 3)."""
    there = torch.tensor(TO_YCBCR, dtype=torch.float64)
    return there.float().to(device), torch.linalg.inv(there).float().to(device)


@functools.cache
def _table(numbers: str, device: str) -> Tensor:
    return torch.tensor([float(number) for number in numbers.split()], device=device)  # (64,)


CHANGES: dict[str, Change] = dict(
    warp=warp, recolour=recolour, resample=resample, noise=add_noise, jpeg=jpeg
)
"""Fields of a recipe, and what they do to their share of a batch."""


def shares_of(recipe: Recipe) -> dict[str, float]:
    """The share of the pictures that a recipe lets each of `CHANGES` have."""
    return {name: getattr(recipe, name) for name in CHANGES}


def distort(images: Tensor, shares: Mapping[str, float], generator: torch.Generator) -> Tensor:
    """Does to a batch what happens to photographs, each change to its share of the pictures.

    Args:
        images: (N, 3, H, W) in [0, 255].
        shares: Of each of `CHANGES`, in [0, 1].
        generator: Of the same device.

    Returns:
        Floats (N, 3, H, W) in [0, 255].
    """
    x = images.float() / 255
    # In the order in which a photograph comes about: scene, light, lens, chip, file.
    for name, change in CHANGES.items():
        x = on_a_share(x, shares[name], generator, change)
    return x.clamp(0, 1) * 255
