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
from timm.models import (
    build_model_with_cfg,
    checkpoint,
    generate_default_cfgs,
    register_model,
)
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from .layers import ClassifierHead, Stage, WhiteningStem

CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)


class CifarNet(nn.Module):
    """A plain CNN for pictures of 24 to 64 pixels.

    Args:
        num_classes: Classes out; 0 makes it a feature extractor.
        in_chans: Channels in.
        global_pool: timm's name of the global pooling.
        stem_width: Filters of the whitening layer; 24 are all of a 2x2 RGB patch, with both signs.
        widths: Channels of each stage; a stage halves the resolution.
        depths: Convolutions of each stage.

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

        self.stem = WhiteningStem(in_chans, stem_width)
        chs = [stem_width, *widths]
        self.stages = nn.Sequential(
            *(Stage(chs[i], chs[i + 1], depth) for i, depth in enumerate(depths))
        )
        self.feature_info = [
            dict(num_chs=width, reduction=2 ** (i + 1), module=f"stages.{i}")
            for i, width in enumerate(widths)
        ]
        self.head = ClassifierHead(self.num_features, num_classes, global_pool)

    def init_whitening(self, images: Tensor, eps: float = 5e-4) -> None:
        """Sets the first layer from normalised training pictures, floats (N, in_chans, H, W)."""
        self.stem.init_whitening(images, eps)

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
        x = self.stem(x)
        for i, stage in enumerate(self.stages):
            if stop_early and i > last:
                break
            x = stage(x)
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
        x = self.stem(x)  # (N, 24, 31, 31) for 32 pixels
        if self.grad_checkpointing and not torch.jit.is_scripting():
            for stage in self.stages:
                x = checkpoint(stage, x)
            return x
        return self.stages(x)  # (N, 64, 15, 15), (N, 256, 7, 7), (N, 256, 3, 3)

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
        "min_input_size": (3, 16, 16),
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
    return build_model_with_cfg(CifarNet, variant, pretrained, feature_cfg=feature_cfg, **kwargs)


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
