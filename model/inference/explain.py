"""Where in a picture the evidence for a class lies, as a map of the picture's own size.

All methods come from captum. Which one is the default was decided by deletion and insertion scores
(`benchmarks/explanations.py`).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients, LayerGradCam, NoiseTunnel, Occlusion, Saliency
from torch import Tensor, nn

DEFAULT = "integrated gradients"
WINDOW, STRIDE = 8, 3  # pixels of the grey patch that occlusion slides over the picture
STEPS = 8  # on the way from grey to the picture
BLUR = 5  # pixels over which noisy gradient maps are averaged


def attribution(
    network: nn.Module, pixels: Tensor, classes: Tensor, method: str = DEFAULT
) -> Tensor:
    """How much each place of each picture speaks for a class.

    What is explained is a classifier's answer: the mean over a picture and its mirror image.

    Integrated gradients and occlusion may run in several threads at once; the others seed random
    numbers or hang hooks into the network, and are for comparisons.

    Args:
        network: In evaluation mode.
        pixels: Normalised pictures, floats (N, 3, S, S).
        classes: The class to explain, for each picture, int64 (N,).
        method: A key of `METHODS`.

    Returns:
        float32 (N, S, S): above 0 speaks for the class, below 0 against it.

    Raises:
        ValueError: If the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose from {', '.join(METHODS)}.")
    both = torch.cat((pixels.detach(), pixels.detach().flip(-1)))  # (2 N, 3, S, S)
    with torch.inference_mode(False), torch.enable_grad():
        maps = METHODS[method](network, both.clone(), classes.repeat(2))  # (2 N, S, S)
    maps, mirrored = maps.detach().float().split(len(pixels))  # (N, S, S), (N, S, S)
    return (maps + mirrored.flip(-1)) / 2  # (N, S, S)


def occlusion(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """How far the class's logit falls when a grey patch covers the place.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    arXiv:1311.2901. Grey is the mean colour, 0 after normalisation.
    """
    maps = Occlusion(network).attribute(
        pixels,
        sliding_window_shapes=(3, WINDOW, WINDOW),
        strides=(3, STRIDE, STRIDE),
        target=classes,
        perturbations_per_eval=16,
    )
    return maps.mean(dim=1)  # (N, S, S)


def integrated_gradients(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Gradients added up on the way from a grey picture to this one.

    Source: Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017,
    arXiv:1703.01365.
    """
    maps = IntegratedGradients(network).attribute(
        pixels, target=classes, n_steps=STEPS, internal_batch_size=max(64, len(pixels))
    )
    return _smooth(maps.sum(dim=1))  # (N, S, S)


def smooth_grad(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Size of the gradient, averaged over noisy copies of the picture.

    Source: Smilkov et al., "SmoothGrad: removing noise by adding noise" (2017), arXiv:1706.03825.
    """
    with torch.random.fork_rng():  # the same noise each time, and nobody else's is touched
        torch.manual_seed(0)
        maps = NoiseTunnel(Saliency(network)).attribute(
            pixels, nt_type="smoothgrad", nt_samples=16, nt_samples_batch_size=4, stdevs=0.2,
            target=classes,
        )  # fmt: skip
    return _smooth(maps.sum(dim=1))  # (N, S, S)


def grad_cam(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Channels of the first stage's map, weighted by their mean gradient.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391. The map has 15 x 15 places
    for pictures of 32 x 32 pixels.
    """
    stages: Any = network.stages
    maps = LayerGradCam(network, stages[0]).attribute(pixels, target=classes)  # (N, 1, s, s)
    size = pixels.shape[-2:]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]  # (N, S, S)


def _smooth(maps: Tensor) -> Tensor:
    """Averages maps (N, S, S) over `BLUR` x `BLUR` pixels."""
    return F.avg_pool2d(maps[:, None], BLUR, 1, BLUR // 2, count_include_pad=False)[:, 0]


METHODS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "occlusion": occlusion,
    "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_grad,
    "Grad-CAM": grad_cam,
}
