"""The cifarnet family: plain, fast CNNs for small pictures, registered with timm.

    stem    frozen 2x2 whitening convolution, trained bias, GELU
    stages  three times: 3x3 conv, 2x2 max pool, norm, GELU, then one or two of 3x3 conv, norm, GELU
    head    global max pool, linear layer without bias

Where the ideas come from:

* Whitening first layer, set from the data and frozen, pooling before normalisation, GELU, a
  down-scaled head: Page, "How to train your ResNet" (2018), and tysam-code, "hlb-CIFAR10" (2023).
* Patch whitening as an initialisation: Coates and Ng, "Learning feature representations with
  k-means" (2012).
* Partial-identity initialisation, normalisation without a trained scale, and the overall layout:
  Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024), arXiv:2404.00498.
* The residual connection over deep stages: He et al., "Deep residual learning" (2016).
"""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import SelectAdaptivePool2d
from timm.models import (
    build_model_with_cfg,
    checkpoint,
    generate_default_cfgs,
    register_model,
)
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from .utils import beside

CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
STEM_KERNEL = 2


class WhiteningStem(nn.Module):
    """A frozen convolution that decorrelates small patches, then a nonlinearity.

    Until `init_whitening` is called the filters are random; either way they take no gradient.
    """

    def __init__(self, in_chans: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, width, STEM_KERNEL)
        self.conv.weight.requires_grad_(False)
        # The bias starts at zero and is trained: it moves the point where GELU bends.
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chans, H, W) to (N, width, H - 1, W - 1)."""
        return self.act(self.conv(x))  # (N, width, H - 1, W - 1)

    @torch.no_grad()
    def init_whitening(self, images: Tensor, eps: float = 5e-4) -> None:
        """Sets the filters to the whitened principal components of the pictures' patches.

        Args:
            images: Normalised pictures, floats (N, in_chans, H, W); 5,000 are plenty.
            eps: Added to each component's variance, so that faint ones are not blown up.
        """
        weight = self.conv.weight
        dims, count = weight[0].numel(), 0
        # In float64: small variances are divided by, and float32 would lose them in the sum.
        total = torch.zeros(dims, dims, dtype=torch.float64)
        for part in images.split(256):  # few at a time: patches take much memory
            patches = F.unfold(part.cpu().double(), STEM_KERNEL)  # (n, in_chans * 4, places)
            total += (patches @ patches.mT).sum(0)  # (in_chans * 4, in_chans * 4)
            count += len(part) * patches.shape[-1]
        # The mean is not taken off: pictures are normalised. D = in_chans * 4, ascending.
        variance, vectors = torch.linalg.eigh(total / count)  # (D,), (D, D)
        keep = min(len(variance), len(weight) // 2)  # filters left over stay random
        vectors = vectors.T.flip(0)[:keep]  # (keep, D), largest variance first
        # An eigenvector's sign is arbitrary and differs between libraries: make it unique.
        vectors *= vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
        vectors /= (variance.flip(0)[:keep, None] + eps).sqrt()
        # With both signs: GELU lets only one side through, and no direction should be lost.
        filters = torch.cat((vectors, -vectors)).view(
            2 * keep, *weight.shape[1:]
        )  # (2 * keep, C, 2, 2)
        weight[: 2 * keep] = filters.to(weight)


def pad_for_pooling(x: Tensor) -> Tensor:
    """Puts zeros around a map (N, C, H, W); along an odd side, before the map only."""
    odd_h, odd_w = x.shape[2] % 2, x.shape[3] % 2
    return F.pad(x, (1, 1 - odd_w, 1, 1 - odd_h))  # (N, C, H + 2 or H + 1, W + 2 or W + 1)


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Maps (N, C, H, W) to (N, K, H + 2 * padding - 2, W + 2 * padding - 2)."""
    if not torch.jit.is_scripting():  # noqa: SIM102  (TorchScript)
        if bias is None and beside.pays(x):  # folded norms leave one, for answers
            return beside.conv2d(x, weight, padding)
    return F.conv2d(x, weight, bias, padding=padding)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with zeros around the map."""

    def __init__(self, in_chs: int, out_chs: int) -> None:
        super().__init__(in_chs, out_chs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chs, H, W) to (N, out_chs, H, W)."""
        return conv3x3(x, self.weight, self.bias, 1)


class PooledConv(nn.Conv2d):
    """A 3x3 convolution with zeros around the map, without the outputs that pooling drops.

    2x2 pooling leaves out the last row and column of a map of odd size; here they are not computed.
    """

    def __init__(self, in_chs: int, out_chs: int) -> None:
        super().__init__(in_chs, out_chs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chs, H, W) to (N, out_chs, H, W) with H and W rounded down to even."""
        return conv3x3(pad_for_pooling(x), self.weight, self.bias, 0)


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
            self.convs.append(Conv3x3(out_chs, out_chs))
        self.norms = nn.ModuleList(nn.BatchNorm2d(out_chs) for _ in range(depth))
        # Before normalisation, which then costs a quarter, and normalises what the next layer gets.
        self.pool = nn.MaxPool2d(2)
        self.acts = nn.ModuleList(nn.GELU() for _ in range(depth))
        self.residual = depth >= 3  # only deep stages need a shortcut (He et al.)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # The first in_chs filters pass their channel through: a deep net starts out shallow.
            weight: Any = conv.weight
            nn.init.dirac_(weight.data[: weight.shape[1]])
            norm.weight.requires_grad_(False)  # stays 1: the next layer weighs channels as well

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_chs, H, W) to (N, out_chs, H // 2, W // 2)."""
        shortcut = x
        layers = zip(self.convs, self.norms, self.acts)  # noqa: B905  (TorchScript)
        for i, (conv, norm, act) in enumerate(layers):
            x = conv(x)  # (N, out_chs, H, W), then (N, out_chs, H // 2, W // 2)
            if i == 0:
                x = self.pool(x)  # (N, out_chs, H // 2, W // 2)
            x = act(norm(x))  # (N, out_chs, H // 2, W // 2)
            if i == 0:  # the branch starts behind the change of resolution and channels
                shortcut = x
        return x + shortcut if self.residual else x


class ClassifierHead(nn.Module):
    """Global pooling and the linear classifier.

    Args:
        num_features: Channels in.
        num_classes: Classes out; 0 returns the pooled features.
        pool_type: timm's name of a global pooling; "" keeps the map (only with 0 classes).
        drop_rate: Share of the pooled features that training sets to zero.
    """

    def __init__(
        self, num_features: int, num_classes: int, pool_type: str, drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.drop = nn.Dropout(drop_rate)
        self.reset(num_classes, pool_type)

    def reset(self, num_classes: int, pool_type: str) -> None:
        """Replaces pooling and classifier by new ones."""
        if num_classes and not pool_type:
            raise ValueError('global_pool="" keeps the map: it needs num_classes=0.')
        self.global_pool = SelectAdaptivePool2d(pool_type=pool_type, flatten=bool(pool_type))
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            # Some poolings give each channel twice.
            features = self.num_features * self.global_pool.feat_mult()
            self.fc = nn.Linear(features, num_classes, bias=False)
            nn.init.normal_(self.fc.weight, std=1 / features)  # logits near zero

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Maps (N, num_features, h, w) to (N, num_classes), or to (N, num_features)."""
        x = self.drop(self.global_pool(x))  # (N, num_features)
        return x if pre_logits else self.fc(x)  # (N, num_classes)


class CifarNet(nn.Module):
    """A plain CNN for pictures of 24 to 64 pixels.

    Args:
        num_classes: Classes out; 0 makes it a feature extractor.
        in_chans: Channels in.
        global_pool: timm's name of the global pooling.
        stem_width: Filters of the whitening layer; 24 are all of a 2x2 RGB patch, with both signs.
        widths: Channels of each stage; a stage halves the resolution.
        depths: Convolutions of each stage.
        drop_rate: Of the dropout before the classifier.
        drop_path_rate: Has no effect, like the next: timm's programs pass them to any network.
        drop_block_rate: Has no effect.

    Raises:
        ValueError: If the stages' widths and depths do not fit each other.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "max",
        stem_width: int = 24,
        widths: tuple[int, ...] = (64, 256, 256),
        depths: tuple[int, ...] = (2, 2, 2),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        drop_block_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths) or not widths or min(*widths, *depths) < 1:
            raise ValueError(
                f"widths={tuple(widths)} and depths={tuple(depths)} must be positive and equally "
                "long."
            )
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = widths[-1]
        self.grad_checkpointing = False
        self.drop_rate = drop_rate

        self.stem = WhiteningStem(in_chans, stem_width)
        chs = [stem_width, *widths]
        self.stages = nn.Sequential(
            *(Stage(chs[i], chs[i + 1], depth) for i, depth in enumerate(depths))
        )
        self.feature_info = [
            dict(num_chs=width, reduction=2 ** (i + 1), module=f"stages.{i}")
            for i, width in enumerate(widths)
        ]
        self.head = ClassifierHead(self.num_features, num_classes, global_pool, drop_rate)

    def init_whitening(self, images: Tensor) -> None:
        """Sets the first layer from normalised training pictures, floats (N, in_chans, H, W)."""
        self.stem.init_whitening(images)

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns by which timm groups parameters, e.g. for layer-wise learning rates."""
        return dict(stem=r"^stem", blocks=r"^stages\.(\d+)")

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory: activations are computed again in the backward pass."""
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The last layer: linear, or identity where there are no classes."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the classifier by a new, untrained one.

        Args:
            num_classes: 0 returns pooled features (N, num_features) from then on.
            global_pool: New pooling; with 0 classes, "" returns the map (N, num_features, h, w).
        """
        self.num_classes = num_classes
        pool_type = self.head.global_pool.pool_type if global_pool is None else global_pool
        self.head.reset(num_classes, pool_type)
        self.head.to(next(self.stages.parameters()).device)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Runs the network and collects the stages' maps on the way.

        Args:
            x: Normalised pictures (N, in_chans, H, W).
            indices: Stages to collect: the last n, a list, or all.
            norm: Has no effect: stages end normalised.
            stop_early: Stop after the last stage asked for.
            output_fmt: Only "NCHW".
            intermediates_only: Return only the list of maps.

        Raises:
            ValueError: If another output format is asked for.
        """
        if output_fmt != "NCHW":
            raise ValueError(f'output_fmt="{output_fmt}" is not supported, use "NCHW".')
        take, last = feature_take_indices(len(self.stages), indices)
        intermediates = []
        x = self.stem(x)  # (N, stem_width, H - 1, W - 1)
        for i, stage in enumerate(self.stages):
            if stop_early and i > last:
                break
            x = stage(x)  # (N, widths[i], h, w), each half as large as before
            if i in take:
                intermediates.append(x)
        return intermediates if intermediates_only else (x, intermediates)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drops the stages behind the last one asked for (and the head); see timm."""
        take, last = feature_take_indices(len(self.stages), indices)
        self.stages = self.stages[: last + 1]
        if prune_head:
            self.reset_classifier(0, "")
        return take

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps normalised pictures (N, in_chans, H, W) to (N, num_features, h, w)."""
        x = self.stem(x)  # (N, stem_width, 31, 31) for 32 pixels
        if self.grad_checkpointing and not torch.jit.is_scripting():
            for stage in self.stages:
                x = checkpoint(stage, x)  # (N, widths[i], h, w)
            return x
        return self.stages(x)  # (N, widths[-1], 3, 3) for 32 pixels, by 15 x 15 and 7 x 7

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Maps features (N, num_features, h, w) to logits, or to what the classifier sees."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        """Maps normalised pictures (N, in_chans, H, W) to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))


def _cfg(**kwargs: Any) -> dict[str, Any]:
    return {
        "url": "",
        "num_classes": 10,
        "input_size": (3, 32, 32),
        "min_input_size": (3, 16, 16),  # to which training shrinks images, see `Recipe.size_at`
        "pool_size": (3, 3),
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": CIFAR10_MEAN,
        "std": CIFAR10_STD,
        "first_conv": "stem.conv",
        "classifier": "head.fc",
        "license": "apache-2.0",
        **kwargs,
    }


default_cfgs = generate_default_cfgs(
    {"cifarnet_nano": _cfg(), "cifarnet_small": _cfg(), "cifarnet_base": _cfg()}
)


def _create_cifarnet(variant: str, pretrained: bool = False, **kwargs: Any) -> CifarNet:
    feature_cfg = dict(out_indices=tuple(range(len(kwargs["widths"]))), flatten_sequential=True)
    place = {
        name: kwargs.pop(name, None) for name in ("device", "dtype")
    }  # timm builds elsewhere than on the CPU by these
    built = build_model_with_cfg(CifarNet, variant, pretrained, feature_cfg=feature_cfg, **kwargs)
    return built.to(**place)


@register_model
def cifarnet_nano(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """0.29 million parameters: the least work an image."""
    args = dict(widths=(32, 64, 128), depths=(2, 2, 2))
    return _create_cifarnet("cifarnet_nano", pretrained, **dict(args, **kwargs))


@register_model
def cifarnet_small(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """2.0 million parameters: the default."""
    args = dict(widths=(64, 256, 256), depths=(2, 2, 2))
    return _create_cifarnet("cifarnet_small", pretrained, **dict(args, **kwargs))


@register_model
def cifarnet_base(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """5.3 million parameters, residual stages of three convolutions: the largest."""
    args = dict(widths=(128, 320, 320), depths=(3, 3, 3))
    return _create_cifarnet("cifarnet_base", pretrained, **dict(args, **kwargs))
