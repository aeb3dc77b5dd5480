"""Where in a picture the evidence for a class lies, as a map of the picture's own size.

By integrated gradients: `benchmarks/explanations.py` compares other methods by deletion and
insertion scores.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients
from torch import Tensor, nn

STEPS = 8  # on the way from grey to the picture
BLUR = 5  # pixels over which noisy gradient maps are averaged

Method = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Maps (N, S, S) of a network, normalised pictures (N, 3, S, S) and their classes (N,)."""


def integrated_gradients(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Gradients added up on the way from a grey picture to this one.

    Source: Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017,
    arXiv:1703.01365. Grey is the mean colour, 0 after normalisation.
    """
    maps = IntegratedGradients(network).attribute(
        pixels, target=classes, n_steps=STEPS, internal_batch_size=max(64, len(pixels))
    )
    return smooth(maps.sum(dim=1))  # (N, S, S)


def attribution(
    network: nn.Module, pixels: Tensor, classes: Tensor, method: Method = integrated_gradients
) -> Tensor:
    """How much each place of each picture speaks for a class.

    What is explained is a classifier's answer: the mean over a picture and its mirror image.
    Integrated gradients may run in several threads at once.

    Args:
        network: In evaluation mode.
        pixels: Normalised pictures, floats (N, 3, S, S).
        classes: The class to explain, for each picture, int64 (N,).
        method: Makes the maps.

    Returns:
        float32 (N, S, S): above 0 speaks for the class, below 0 against it.
    """
    both = torch.cat((pixels.detach(), pixels.detach().flip(-1)))  # (2 N, 3, S, S)
    with torch.inference_mode(False), torch.enable_grad():
        maps = method(network, both.clone(), classes.repeat(2))  # (2 N, S, S)
    maps, mirrored = maps.detach().float().split(len(pixels))  # (N, S, S), (N, S, S)
    return (maps + mirrored.flip(-1)) / 2  # (N, S, S)


def smooth(maps: Tensor) -> Tensor:
    """Averages maps (N, S, S) over `BLUR` x `BLUR` pixels."""
    return F.avg_pool2d(maps[:, None], BLUR, 1, BLUR // 2, count_include_pad=False)[:, 0]
