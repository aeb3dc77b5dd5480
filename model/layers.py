"""The layers that the networks are made of; `model/network.py` says where each idea comes from."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn

STEM_KERNEL = 2


class WhiteningStem(nn.Module):
    """A frozen convolution that decorrelates small patches, then a nonlinearity.

    Until `init_whitening` is called the filters are random; either way they take no gradient.
    """

    def __init__(self, in_chans: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, width, STEM_KERNEL)
        self.conv.weight.requires_grad_(False)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chans, H, W) to (N, width, H - 1, W - 1)."""
        return self.act(self.conv(x))  # (N, 24, H - 1, W - 1)

    @torch.no_grad()
    def init_whitening(self, images: Tensor, eps: float = 5e-4) -> None:
        """Sets the filters to the whitened principal components of the pictures' patches.

        Args:
            images: Normalised pictures, floats (N, in_chans, H, W); 5,000 are plenty.
            eps: Added to each component's variance, so that faint ones are not blown up.
        """
        weight = self.conv.weight
        dims, count = weight[0].numel(), 0
        total = torch.zeros(dims, dims, dtype=torch.float64)
        for part in images.split(256):  # few at a time: patches take much memory
            patches = F.unfold(part.cpu().double(), STEM_KERNEL)  # (n, in_chans * 4, places)
            total += (patches @ patches.mT).sum(0)  # (in_chans * 4, in_chans * 4)
            count += len(part) * patches.shape[-1]
        variance, vectors = torch.linalg.eigh(total / count)  # ascending
        keep = min(len(variance), len(weight) // 2)
        vectors = vectors.T.flip(0)[:keep]  # (keep, D), largest variance first
        # An eigenvector's sign is arbitrary and differs between libraries: make it unique.
        vectors *= vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
        vectors /= (variance.flip(0)[:keep, None] + eps).sqrt()
        filters = torch.cat((vectors, -vectors)).view(2 * keep, *weight.shape[1:])  # (2k, C, 2, 2)
        weight[: 2 * keep] = filters.to(weight)


def pad_for_pooling(x: Tensor) -> Tensor:
    """Puts zeros around a map (N, C, H, W); along an odd side, before the map only."""
    odd_h, odd_w = x.shape[2] % 2, x.shape[3] % 2
    return F.pad(x, (1, 1 - odd_w, 1, 1 - odd_h))  # (N, C, H + 2 or H + 1, W + 2 or W + 1)


class PooledConv(nn.Conv2d):
    """A 3x3 convolution with zeros around the map, without the outputs that pooling drops.

    2x2 pooling leaves out the last row and column of a map of odd size; here they are not computed.
    """

    def __init__(self, in_chs: int, out_chs: int) -> None:
        super().__init__(in_chs, out_chs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chs, H, W) to (N, out_chs, H, W) with H and W rounded down to even."""
        return F.conv2d(pad_for_pooling(x), self.weight, self.bias)


class Stage(nn.Module):
    """Convolutions at one resolution; the first one halves it.

    Args:
        in_chs: Channels in.
        out_chs: Channels out.
        depth: Convolutions in all, at least 1; from 3 on the rest is a residual branch.
    """

    def __init__(self, in_chs: int, out_chs: int, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([PooledConv(in_chs, out_chs)])
        for _ in range(depth - 1):
            self.convs.append(nn.Conv2d(out_chs, out_chs, 3, padding=1, bias=False))
        self.norms = nn.ModuleList(nn.BatchNorm2d(out_chs) for _ in range(depth))
        self.pool = nn.MaxPool2d(2)
        self.acts = nn.ModuleList(nn.GELU() for _ in range(depth))
        self.residual = depth >= 3
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # The first in_chs filters pass their channel through: a deep net starts out shallow.
            weight: Any = conv.weight
            nn.init.dirac_(weight.data[: weight.shape[1]])
            norm.weight.requires_grad_(False)  # stays 1: the next layer can scale as well

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chs, H, W) to (N, out_chs, H // 2, W // 2)."""
        shortcut = x
        layers = zip(self.convs, self.norms, self.acts)  # noqa: B905  (TorchScript)
        for i, (conv, norm, act) in enumerate(layers):
            x = conv(x)  # (N, out_chs, H, W), then (N, out_chs, H // 2, W // 2)
            if i == 0:
                x = self.pool(x)  # (N, out_chs, H // 2, W // 2)
            x = act(norm(x))
            if i == 0:
                shortcut = x
        return x + shortcut if self.residual else x


class ClassifierHead(nn.Module):
    """Global pooling and the linear classifier.

    Args:
        num_features: Channels in.
        num_classes: Classes out; 0 returns the pooled features.
        pool_type: timm's name of a global pooling; "" keeps the map (only with 0 classes).
    """

    def __init__(self, num_features: int, num_classes: int, pool_type: str) -> None:
        super().__init__()
        self.num_features = num_features
        self.reset(num_classes, pool_type)

    def reset(self, num_classes: int, pool_type: str) -> None:
        """Replaces pooling and classifier by new ones."""
        if num_classes and not pool_type:
            raise ValueError('global_pool="" keeps the map: it needs num_classes=0.')
        self.global_pool = SelectAdaptivePool2d(pool_type=pool_type, flatten=bool(pool_type))
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            self.fc = nn.Linear(self.num_features, num_classes, bias=False)
            nn.init.normal_(self.fc.weight, std=1 / self.num_features)  # logits near zero

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Maps (N, num_features, h, w) to (N, num_classes), or to (N, num_features)."""
        x = self.global_pool(x)  # (N, num_features)
        return x if pre_logits else self.fc(x)  # (N, num_classes)
