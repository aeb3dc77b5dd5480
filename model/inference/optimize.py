"""A network made ready to answer on this device: the same logits but for rounding, sooner."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from ..network import CifarNet, PooledConv, pad_for_pooling
from ..utils.device import has_bf16

# Of the largest logit: reordered sums differ by about 1e-6 of it, bfloat16 by about 5e-3.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}


def optimize_for_inference(network: nn.Module) -> nn.Module:
    """Copies a network in evaluation mode into the form that answers fastest here.

    Normalisation becomes part of the convolutions; maps are in channels_last order; on CPUs,
    filters are put into the order that oneDNN computes with, once instead of in every call, and
    computed with in bfloat16 where the processor has units for it: in half the time, and
    probabilities differ a little (`benchmarks/inference.py` measures by how much).

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
    dtypes = [torch.float32]
    if has_bf16(torch.device("cpu")):
        dtypes.insert(0, torch.bfloat16)
    for dtype in dtypes:
        try:
            packed = _packed(fast, dtype)
            if _agree(packed, fast, TOLERANCE[dtype]):
                return packed
        except (AttributeError, RuntimeError):  # this build of torch packs no filters
            pass
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

    The order is chosen for the shape of the first maps that come; others work too.

    Args:
        conv: A convolution, or one before pooling.
        gelu: Whether a GELU follows at once, which is then computed here.
        dtype: What it computes in, and gives.
    """

    def __init__(self, conv: nn.Conv2d, gelu: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.act = "gelu" if gelu else "none"
        self.pooled = isinstance(conv, PooledConv)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.options = (conv.padding, conv.stride, conv.dilation, conv.groups)
        # Not a parameter: it cannot be saved, and need not be.
        self.filters, self.packed = conv.weight.detach().to(dtype).to_mkldnn(), False

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution that it was made from."""
        x = x.to(self.filters.dtype)
        if self.pooled:
            x = pad_for_pooling(x)
        if not self.packed:
            functions: Any = torch._C._nn
            shape = tuple(x.shape)
            self.filters = functions.mkldnn_reorder_conv2d_weight(
                self.filters, *self.options, shape
            )
            self.packed = True
        operators: Any = torch.ops.mkldnn
        return operators._convolution_pointwise(
            x, self.filters, self.bias, *self.options, self.act, [], "none"
        )


class ToFloat32(nn.Module):
    """For the classifier, which is small, and whose sums decide."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values."""
        return x.float()


def _packed(folded: CifarNet, dtype: torch.dtype) -> CifarNet:
    network: Any = copy.deepcopy(folded)
    network.stem.conv = PackedConv(network.stem.conv, True, dtype)
    network.stem.act = nn.Identity()
    for stage in network.stages:
        for i, conv in enumerate(list(stage.convs)):
            fused = i > 0 and isinstance(stage.norms[i], nn.Identity)
            stage.convs[i] = PackedConv(conv, fused, dtype)
            if fused:
                stage.acts[i] = nn.Identity()
    network.stages.append(ToFloat32())
    return network


@torch.inference_mode()
def _agree(one: CifarNet, other: CifarNet, tolerance: float) -> bool:
    """Whether both answer alike about a picture and its mirror image, the commonest question."""
    card: Any = one.pretrained_cfg
    shape = (2, one.in_chans, *card["input_size"][1:])
    x = torch.linspace(-1, 1, math.prod(shape)).view(shape)  # (2, C, S, S)
    wanted = other(x)  # (2, num_classes)
    worst = (one(x) - wanted).abs().max()
    return bool(worst <= tolerance * wanted.abs().max().clamp(min=1))  # NaN is not
