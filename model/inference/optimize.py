"""A network made ready to answer on this device: the same logits, sooner."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from ..network import CifarNet, PooledConv, pad_for_pooling

TOLERANCE = 1e-3  # of logits; reordered sums differ by about 1e-6


def optimize_for_inference(network: nn.Module) -> nn.Module:
    """Copies a network in evaluation mode into the form that answers fastest here.

    Normalisation becomes part of the convolutions; maps are in channels_last order; on CPUs,
    filters are put into the order that oneDNN computes with, once instead of in every call.

    Args:
        network: A cifarnet; any other network is returned as it is, not copied.

    Returns:
        A network for inference only, which does not follow later changes of the first one.
    """
    if not isinstance(network, CifarNet) or network.training:
        return network
    fast = fold(network).to(memory_format=torch.channels_last).requires_grad_(False)
    if next(fast.parameters()).device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return fast
    try:
        packed = _packed(fast)
        return packed if _agree(packed, fast) else fast
    except (AttributeError, RuntimeError):  # this build of torch packs no filters
        return fast


def fold(network: CifarNet) -> CifarNet:
    """A copy whose normalisation is part of the convolutions.

    Max-pooling between the two does not mind: it commutes with a shift and a positive scale.
    """
    network = copy.deepcopy(network)
    for stage in network.stages:
        convs: Any = stage.convs
        norms: Any = stage.norms
        for i, (conv, norm) in enumerate(zip(list(convs), list(norms), strict=True)):
            if (norm.weight > 0).all():
                convs[i], norms[i] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network


class PackedConv(nn.Module):
    """A convolution whose filters lie in oneDNN's own order, as torch.compile would keep them.

    Args:
        conv: A convolution, or one before pooling.
        input_shape: Of the maps that the order is chosen for, (N, C, H, W); others work too.
        gelu: Whether a GELU follows at once, which is then computed here.
    """

    def __init__(self, conv: nn.Conv2d, input_shape: tuple[int, ...], gelu: bool) -> None:
        super().__init__()
        self.act = "gelu" if gelu else "none"
        self.pooled = isinstance(conv, PooledConv)
        self.bias = conv.bias
        self.options = (conv.padding, conv.stride, conv.dilation, conv.groups)
        if self.pooled:
            n, chans, *size = input_shape
            input_shape = (n, chans, *(side + 2 - side % 2 for side in size))
        functions: Any = torch._C._nn
        # Not a parameter: it cannot be saved, and need not be.
        self.packed = functions.mkldnn_reorder_conv2d_weight(
            conv.weight.detach().to_mkldnn(), *self.options, input_shape
        )

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution that it was made from."""
        if self.pooled:
            x = pad_for_pooling(x)
        operators: Any = torch.ops.mkldnn
        return operators._convolution_pointwise(
            x, self.packed, self.bias, *self.options, self.act, [], "none"
        )


@torch.inference_mode()
def _packed(folded: CifarNet) -> CifarNet:
    network: Any = copy.deepcopy(folded)
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[layer] = tuple(inputs[0].shape)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    network(_example(network))
    for hook in hooks:
        hook.remove()
    stem = network.stem
    stem.conv = PackedConv(stem.conv, shapes[stem.conv], gelu=True)
    stem.act = nn.Identity()
    for stage in network.stages:
        for i, conv in enumerate(list(stage.convs)):
            fused = i > 0 and isinstance(stage.norms[i], nn.Identity)
            stage.convs[i] = PackedConv(conv, shapes[conv], gelu=fused)
            if fused:
                stage.acts[i] = nn.Identity()
    return network


def _example(network: CifarNet) -> Tensor:
    """A picture and its mirror image, the commonest question: floats (2, C, S, S)."""
    card: Any = network.pretrained_cfg
    size = card["input_size"][-1]
    example = torch.linspace(-1, 1, 2 * network.in_chans * size * size)
    return example.view(2, network.in_chans, size, size)  # (2, C, S, S)


@torch.inference_mode()
def _agree(one: CifarNet, other: CifarNet) -> bool:
    x = _example(one)
    return torch.allclose(one(x), other(x), atol=TOLERANCE)
