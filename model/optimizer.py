"""Muon for the filters of our networks, SGD for the rest, AdamW for timm's; and one schedule."""

from collections.abc import Iterable
from typing import Any

import torch
from timm.optim import param_groups_weight_decay
from timm.optim.muon import zeropower_via_newtonschulz
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from .network import CifarNet
from .recipe import Recipe
from .utils.device import has_bf16

REFERENCE_BATCH = 1000  # images a step, for which recipes give SGD's rates and decay
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)]
TIMM_RATE, TIMM_DECAY = 0.02, 0.05  # share of Muon's rate that AdamW has, and its decay


class Muon(Optimizer):
    """Momentum made orthogonal, on filters of fixed norm (Jordan et al. 2024, "Muon").

    The direction is timm's Newton-Schulz iteration. Two things that its optimizer does not offer
    are why this class exists: the filters are kept at the norm sqrt(out_channels), so that the
    rate is a share of the weights and needs no weight decay, and the iteration runs in float32
    where the device has no bfloat16 units and would be slower by far.

    Args:
        params: Filters (out, in, h, w).
        lr: Learning rate.
        momentum: Nesterov momentum in [0, 1).
        steps: Newton-Schulz iterations.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float, steps: int
    ) -> None:
        super().__init__(params, dict(lr=lr, momentum=momentum, steps=steps))

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Moves every filter that has a gradient."""
        for group in self.param_groups:
            # Filters of one shape are stacked: one product of matrices instead of several.
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    alike.setdefault(param.shape, []).append(param)
            for params in alike.values():
                self._move(params, group)

    def _move(self, params: list[Any], group: dict[str, Any]) -> None:
        """Moves filters of one shape together: on a GPU each operation costs a launch."""
        for param in params:
            if not self.state[param]:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param)
        gradients: Any = [param.grad for param in params]
        buffers = [self.state[param]["momentum_buffer"] for param in params]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, gradients)
        ahead = torch._foreach_add(gradients, buffers, alpha=group["momentum"])  # Nesterov
        # Each (out, in, h, w) is first scaled to the norm that it has if each of its `out` filters
        # has norm 1, so that a rate means the same share of the weights all through training.
        norms: Any = torch._foreach_norm(params)
        torch._foreach_div_(params, torch._foreach_mul(norms, len(params[0]) ** -0.5))
        dtype = torch.bfloat16 if has_bf16(params[0].device) else torch.float32
        updates = orthogonal(torch.stack(ahead), group["steps"], dtype)  # (n, out, in, h, w)
        torch._foreach_sub_(params, list((updates * group["lr"]).unbind()))


def orthogonal(gradient: Tensor, steps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draws a matrix towards the nearest semi-orthogonal one: large singular values come near 1.

    After three steps small singular values are still well below 1, which training does not mind;
    after five almost all lie between 0.7 and 1.2.

    Args:
        gradient: (..., out, in, h, w): matrices of shape (out, in * h * w).
        steps: Newton-Schulz iterations.
        dtype: Computed in.

    Returns:
        The same shape and type.
    """
    matrix = zeropower_via_newtonschulz(
        gradient.flatten(-3),  # (n, out, in * h * w)
        steps=steps,
        coefficients=NEWTON_SCHULZ,
        dtype=dtype,
    )
    return matrix.to(gradient.dtype).view_as(gradient)


def build_optimizers(
    network: Any, recipe: Recipe, rates_on_device: bool = False
) -> tuple[Optimizer, ...]:
    """Sorts a network's trained parameters: filters to Muon; biases and the classifier to SGD.

    SGD's rates and decay grow in proportion to the batch; Muon's do not, because its update has the
    same size whatever the gradient's. Networks of timm's that are not ours get AdamW, which most of
    them were made with: Muon fixes the norm of a convolution's filters together, which breaks a
    network that does not normalise after each.
    """
    if not isinstance(network, CifarNet):
        groups = param_groups_weight_decay(network, TIMM_DECAY)
        return (AdamW(groups, TIMM_RATE * recipe.learning_rate),)
    # Three groups, because three things are learned: what to look for (filters), from how much on
    # (biases of stem and normalisation, at a rate thousands of times higher), and what it is.
    filters: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    heads: list[nn.Parameter] = []
    for name, param in network.named_parameters():
        if param.requires_grad:
            kind = filters if param.ndim == 4 else heads if name.startswith("head.") else biases
            kind.append(param)
    steps = recipe.newton_schulz_steps
    muon = Muon(filters, recipe.learning_rate, recipe.momentum, steps)
    scale = recipe.batch_size / REFERENCE_BATCH
    rates = (scale * recipe.bias_learning_rate, scale * recipe.head_learning_rate)
    decay = scale * recipe.weight_decay
    groups = [
        # SGD multiplies decay by the rate: divide, so that the recipe's is a share of the weight.
        dict(params=params, lr=rate, weight_decay=decay / rate if rate else 0.0)
        for params, rate in zip((biases, heads), rates, strict=True)
    ]
    nesterov = recipe.sgd_momentum > 0
    fused = rates_on_device or None  # the only kind that reads its rate on the device
    sgd = SGD(groups, momentum=recipe.sgd_momentum, nesterov=nesterov, fused=fused)
    if rates_on_device:  # a recorded step reads them there, a number would be recorded with it
        for group in muon.param_groups + sgd.param_groups:
            group["lr"] = torch.tensor(group["lr"], device=heads[0].device)
    return muon, sgd


def linear_warmup_decay(step: int, steps: int, warmup: float, final: float = 0.0) -> float:
    """Factor of the learning rate: linear from 0 to 1 in the warm-up, then linear to `final`.

    Args:
        step: Counts from 0.
        steps: Steps in the whole run.
        warmup: Share of the steps that climb.
        final: Where it ends.
    """
    done = (step + 1) / (steps + 1)
    falling = final + (1 - final) * (1 - done) / (1 - warmup)
    return min(done / warmup if warmup else 1.0, falling)
