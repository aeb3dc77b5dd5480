"""Logits of many images, in full precision and the same whatever state the network is in."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..augment import normalize
from ..utils.errors import WeightsError

BATCH_SIZE = 500  # logits depend on it by rounding noise only

Progress = Callable[[int], object]
Answer = Callable[[nn.Module, Tensor], Sequence[Tensor]]
"""What is asked of a network about normalised images (n, 3, S, S): tensors of n rows each."""


def predict_logits(network: nn.Module, images: Tensor, progress: Progress | None = None) -> Tensor:
    """The logits of images, float32 (N, C) on the CPU; arguments and errors as for `predict`."""
    return predict(network, images, lambda run, x: (run(x),), progress)[0]


@torch.inference_mode()
def predict(
    network: nn.Module, images: Tensor, answer: Answer, progress: Progress | None = None
) -> list[Tensor]:
    """Runs a network over images in order, in full precision, without changing it.

    Args:
        network: On any device, in any mode; its `pretrained_cfg` holds mean and std.
        images: uint8 (N, 3, S, S).
        answer: Such as `both_views`.
        progress: Called with the number of images just done, such as a tqdm bar's `update`.

    Returns:
        What `answer` gives, in float32 on the CPU, of N rows each.

    Raises:
        WeightsError: If a number is not finite.
    """
    config: Any = network.pretrained_cfg
    device = next(network.parameters()).device
    parts = []
    with _exactly(network, device) as run:
        for batch in images.split(BATCH_SIZE):
            x = normalize(batch.to(device), config["mean"], config["std"])  # (n, 3, S, S)
            parts.append([rows.float().cpu() for rows in answer(run, x)])
            if progress:
                progress(len(batch))
    found = [torch.cat(rows) for rows in zip(*parts, strict=True)]
    if not all(rows.isfinite().all() for rows in found):
        raise WeightsError(
            "The network answers with NaN or infinite numbers: its weights are damaged or its "
            "training diverged. Download the weights again, or train with a lower learning rate."
        )
    return found


def both_views(run: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of images, and their mean with those of the mirror images, (n, C) each.

    Args:
        run: The network.
        x: Normalised images (n, 3, S, S).
    """
    logits = run(torch.cat((x, x.flip(-1)))).float().unflatten(0, (2, -1))  # (2, n, C)
    return logits[0], logits.mean(0)


@contextlib.contextmanager
def _exactly(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
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
