"""What a network costs: parameters and multiply-adds."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def multiply_adds(network: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Counts the multiply-adds of convolutions and matrix products for one image.

    Args:
        network: Run once on zeros.
        input_size: Channels, height and width of an image.
    """
    training = network.training
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            network.eval()(torch.zeros(1, *input_size, device=next(network.parameters()).device))
    finally:
        network.train(training)
    return counter.get_total_flops() // 2  # a multiplication and an addition are two of its FLOPs


def describe(network: nn.Module) -> dict[str, str | int]:
    """The model entry of results.json: architecture, parameters and multiply_adds."""
    config: Any = network.pretrained_cfg
    return {
        "architecture": config["architecture"],
        "parameters": sum(param.numel() for param in network.parameters()),
        "multiply_adds": multiply_adds(network, config["input_size"]),
    }
