"""Distortions against what they should do, worked out without them."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from model import distort


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(n: int = 6) -> Tensor:
    """Pictures that grow brighter by 1/64 a pixel from left to right, (n, 3, 32, 32)."""
    return (torch.arange(32.0) / 64 + 0.25).expand(n, 3, 32, 32).contiguous()


def scene(n: int = 4, size: int = 32) -> Tensor:
    """Smooth, colourful pictures of bytes as floats in [0, 1], (n, 3, size, size)."""
    at = torch.linspace(0, 3, size)
    waves = [torch.sin(at[:, None] * (i + 1) + at * (j + 1)) for i in range(n) for j in range(3)]
    return ((torch.stack(waves).view(n, 3, size, size) / 2 + 0.5) * 255).round() / 255


def test_a_shift_moves_a_ramp_by_as_many_pixels_and_none_changes_nothing() -> None:
    same = distort.warp(scene(), generator(), zoom=(1, 1), aspect=1, degrees=0, shift=0)
    assert torch.allclose(same, scene(), atol=1e-5)
    moved = distort.warp(ramp(), generator(), zoom=(1, 1), aspect=1, degrees=0, shift=0.1)
    pixels = (moved - ramp())[..., 4:-4] * 64  # the border, which is reflected, left out
    assert torch.allclose(pixels, pixels[..., :1, :1].expand_as(pixels), atol=1e-3)
    assert 0.1 < pixels.abs().amax() <= 0.1 * 32


@pytest.mark.parametrize(("zoom", "slope"), [(2.0, 0.5), (0.5, 2.0)])
def test_zoom_changes_the_slope_of_a_ramp(zoom: float, slope: float) -> None:
    seen = distort.warp(ramp(), generator(), zoom=(zoom, zoom), aspect=1, degrees=0, shift=0)
    inner = seen[..., 16, 10:22]
    assert torch.allclose(inner.diff(dim=-1) * 64, torch.tensor(slope), atol=1e-3)


def test_a_quarter_turn_swaps_rows_and_columns() -> None:

    turned = distort.warp(ramp(200), generator(), zoom=(1, 1), aspect=1, degrees=90, shift=0)
    down = turned[..., 12:20, 16].diff(dim=-1).mean((1, 2)) * 64  # (200,): the sine of the angle
    across = turned[..., 16, 12:20].diff(dim=-1).mean((1, 2)) * 64  # (200,): its cosine
    assert torch.allclose(down**2 + across**2, torch.ones(200), atol=2e-2)
    assert down.min() < -0.9
    assert down.max() > 0.9


def test_new_light_keeps_grey_grey_and_differs_from_picture_to_picture() -> None:
    grey = ramp(50)
    seen = distort.recolour(grey, generator())
    assert torch.allclose(seen[:, 0], seen[:, 1], atol=1e-6)
    assert torch.allclose(seen[:, 0], seen[:, 2], atol=1e-6)
    contrast = seen.flatten(1).std(dim=1) / grey.flatten(1).std(dim=1)
    assert contrast.min() < 0.4
    assert contrast.max() > 1.2


def test_noise_has_the_variance_it_says() -> None:
    flat = torch.full((4000, 3, 8, 8), 0.5)
    noise = distort.add_noise(flat, generator(), largest=0.1) - flat
    assert abs(noise.mean()) < 1e-3
    each = noise.flatten(1).std(dim=1)
    assert each.max() < 0.1 * 1.25  # 192 values estimate a deviation to 5 %
    # A deviation uniform in [0, a) has the mean square a^2 / 3.
    assert noise.square().mean() == pytest.approx(0.1**2 / 3, rel=0.05)


def test_filters_keep_flat_pictures_and_do_what_they_are_called() -> None:
    filters = distort._filters(32, "cpu")
    assert torch.allclose(filters.sum(dim=2), torch.ones(len(filters), 32), atol=1e-5)
    blur = filters[7]  # the deviation 0.3 + 1.1 * 7 / 15
    sigma = 0.3 + 1.1 * 7 / 15
    assert blur[16, 17] / blur[16, 16] == pytest.approx(math.exp(-0.5 / sigma**2), rel=1e-4)
    sharp = filters[20]
    assert sharp[16, 16] > 1 > 0 > sharp[16, 17]
    blocks = distort._filters(8, "cpu")[32]  # 8 pixels to 3: block averages, then as they are
    line = torch.arange(8.0)
    assert len(torch.unique(blocks @ line)) == 3


def pillow(images: Tensor, quality: int) -> Tensor:
    """What Pillow's own JPEG makes of pictures, floats in [0, 1]."""
    opened = []
    for picture in (images * 255).round().byte().permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        opened.append(np.asarray(Image.open(file).convert("RGB")))
    return torch.from_numpy(np.stack(opened)).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("size", [32, 48])
def test_jpeg_is_pillows(quality: int, size: int) -> None:
    images = (scene(size=size) + 0.1 * torch.randn(4, 3, size, size, generator=generator())).clamp(
        0, 1
    )
    images = (images * 255).round() / 255
    mine = distort.compress(images, torch.full((4,), float(quality)))
    theirs = pillow(images, quality)
    apart = (mine - theirs).abs().mean()
    assert apart < 2 / 255  # colours are averaged and rounded in another order
    assert apart < (theirs - images).abs().mean() / 2
    assert distort.jpeg(scene(size=28), generator()).shape == (4, 3, 28, 28)  # no whole blocks


def test_a_share_is_changed_and_no_more() -> None:
    images = torch.zeros(10, 3, 4, 4)
    some = distort.on_a_share(images, 0.3, generator(), lambda x, random: x + 1)
    assert some.flatten(1).amax(dim=1).sum() == 3
    assert torch.equal(
        distort.on_a_share(images, 0.0, generator(), lambda x, random: x + 1), images
    )
