"""Logits of many images, in full precision and the same whatever state the network is in."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment import normalize
from ..utils.errors import WeightsError
from . import ood

BATCH_SIZE = 500

Progress = Callable[[int], object]


@torch.inference_mode()
def predict_logits(
    network: nn.Module,
    images: Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    tta: bool = False,
    batch_size: int = BATCH_SIZE,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Runs a network over images in order, in full precision, without changing it.

    Test-time augmentation averages the logits of six views, as airbench does (Jordan 2024,
    arXiv:2404.00498): the image and its mirror image count 1/4 each, both shifted by one pixel
    up and left, and down and right, with a reflected border, 1/8 each.

    Args:
        network: Maps normalised float images to logits; on any device, in any mode.
        images: uint8 (N, 3, S, S).
        mean: Of each channel, in [0, 1].
        std: Of each channel, in [0, 1].
        tta: Average over views.
        batch_size: Images at a time; the logits depend on it by rounding noise only.
        device: Where to compute; None takes the network's.
        progress: Called with the number of images just done, such as a tqdm bar's `update`.

    Returns:
        float32 (N, C) on the CPU.

    Raises:
        WeightsError: If a logit is not finite.
    """
    where = torch.device(device or next(network.parameters()).device)
    return predict_views(network, images, tta, mean, std, batch_size, where, progress)[-1]  # (N, C)


def predict_with_features(
    network: nn.Module,
    images: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[Tensor, Tensor]:
    """Runs `ood.logits_and_features` over images, in full precision, without changing the network.

    Args:
        network: A cifarnet, on any device, in any mode.
        images: uint8 (N, 3, S, S).
        mean: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        std: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        batch_size: Images at a time.

    Returns:
        Logits (N, C) and features (N, D), float32 on the CPU.

    Raises:
        WeightsError: If a logit is not finite.
    """
    config: Any = network.pretrained_cfg if mean is None or std is None else {}
    mean, std = mean or config["mean"], std or config["std"]
    device = next(network.parameters()).device
    with torch.inference_mode(), exactly(network, device) as run:
        seen = [
            [
                part.cpu()
                for part in ood.logits_and_features(run, normalize(batch.to(device), mean, std))
            ]
            for batch in images.split(batch_size)
        ]
    logits, features = zip(*seen, strict=True)
    return _finite(torch.cat(logits)), torch.cat(features)  # (N, C), (N, D)


def predict_views(
    network: nn.Module,
    images: Tensor,
    tta: bool,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> Tensor:
    """Plain logits (1, N, C), or those that `_views` gives if `tta`."""
    answers: list[Tensor] = []
    with exactly(network, device) as run:
        for batch in images.split(batch_size):
            x = normalize(batch.to(device), mean, std)  # (n, 3, S, S)
            answer = six_views(run, x) if tta else run(x)[None]  # (3 or 1, n, C)
            answers.append(answer.float().cpu())
            if progress:
                progress(len(batch))
    logits = torch.cat(answers, dim=1)  # (3 or 1, N, C)
    return _finite(logits)


def six_views(run: nn.Module, x: Tensor) -> Tensor:
    """Logits of images (n, 3, S, S) alone, with mirror images, and of six views: (3, n, C)."""
    plain = run(x)  # (n, C)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")  # (n, 3, S + 2, S + 2)
    shifted = torch.zeros_like(plain)
    for view in (padded[..., :-2, :-2], padded[..., 2:, 2:]):
        view = view.contiguous(memory_format=torch.channels_last)  # (n, 3, S, S)
        shifted += run(view) + run(view.flip(-1))
    both = plain + run(x.flip(-1))  # (n, C)
    return torch.stack((plain, both / 2, both / 4 + shifted / 8))  # (3, n, C)


@contextlib.contextmanager
def exactly(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """A copy of the network that computes the same whatever state the original is in.

    Always in evaluation mode, channels_last and full precision: the weights' order in memory
    decides which kernel runs, and with it the last digits.
    """
    run = copy.deepcopy(network).to(device, torch.float32).eval()
    run.__dict__.pop("forward", None)  # accelerate's, which computes in lower precision
    run.to(memory_format=torch.channels_last)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield run
    finally:
        torch.set_float32_matmul_precision(precision)


def _finite(logits: Tensor) -> Tensor:
    if not logits.isfinite().all():
        raise WeightsError(
            "The network answers with NaN or infinite numbers: its weights are damaged or its "
            "training diverged. Download the weights again, or train with a lower learning rate."
        )
    return logits
