"""What a network costs: parameters and multiply-adds, counted on the layers themselves."""

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def multiply_adds(network: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Counts the multiply-adds of convolutions and linear layers for one image.

    Args:
        network: Run once on zeros.
        input_size: Channels, height and width of an image.
    """
    total = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        weight: Any = layer.weight
        # Each output value takes one product for each weight of its filter.
        total += output[0].numel() * weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = network.training
    try:
        network.eval()(torch.zeros(1, *input_size, device=next(network.parameters()).device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total


def describe(network: nn.Module) -> dict[str, str | int]:
    """The model entry of results.json: architecture, parameters and multiply_adds."""
    config: Any = network.pretrained_cfg
    return {
        "architecture": config["architecture"],
        "parameters": sum(param.numel() for param in network.parameters()),
        "multiply_adds": multiply_adds(network, config["input_size"]),
    }
