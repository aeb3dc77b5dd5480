"""Gradients of filters on Intel's AMX units, from maps that stand side by side."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from .device import has_amx

# The units multiply tiles of 16 rows by 32 numbers; oneDNN fills the 32 with a map's row, so that
# most of a tile is empty where a map is 7 or 3 pixels wide.
ROW, NARROW, DEEP = 32, 8, 256


def pays(x: Tensor) -> bool:
    """Whether `conv2d` here is faster than torch's, for maps (N, C, H, W)."""
    suited = x.dtype is torch.bfloat16 and x.shape[1] >= DEEP and x.shape[3] <= NARROW
    return suited and has_amx(x.device)


def conv2d(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """A 3x3 convolution as torch's, but for the way to the gradient of its filters.

    Args:
        x: bfloat16 (N, C, H, W).
        weight: (K, C, 3, 3).
        padding: Zeros around each map, 0 or 1.

    Returns:
        bfloat16 (N, K, H + 2 * padding - 2, W + 2 * padding - 2).
    """
    # autocast does not reach into the function
    result: Tensor = _Conv.apply(x, weight.to(x.dtype), padding)
    return result


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, padding=padding)  # (N, K, H', W')

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, weight), padding = ctx.saved_tensors, ctx.padding
        for_x, for_weight, _ = ctx.needs_input_grad
        into = conv2d_input(x.shape, weight, gradient, padding=padding) if for_x else None
        if not for_weight:
            return into, None, None
        # A zero between two maps is padding of both. Without padding there is none, and gradients,
        # narrower by 2 than the maps, have zeros where filters would straddle two maps.
        step = x.shape[3] + padding
        many = max(1, ROW // step)
        rows = side_by_side(x, step, many)  # (n, C, H, many * step)
        width = many * step + 2 * padding - 2
        gradients = side_by_side(gradient, step, many)[..., :width]  # (n, K, H', width)
        return into, conv2d_weight(rows, weight.shape, gradients, padding=padding), None


def side_by_side(maps: Tensor, step: int, many: int) -> Tensor:
    """Puts maps beside each other, with zeros between them and for those that lack at the end.

    Args:
        maps: (N, C, H, W), channels_last.
        step: From the beginning of one to that of the next, in pixels, at least W.
        many: Maps in a row.

    Returns:
        (ceil(N / many), C, H, many * step), channels_last.
    """
    rows = maps.permute(0, 2, 3, 1)  # (N, H, W, C)
    last = -len(maps) % many
    rows = F.pad(rows, (0, 0, 0, step - maps.shape[3], 0, 0, 0, last))  # (n * many, H, step, C)
    rows = rows.unflatten(0, (-1, many)).transpose(1, 2).flatten(2, 3)  # (n, H, many * step, C)
    return rows.permute(0, 3, 1, 2)  # (n, C, H, many * step)
