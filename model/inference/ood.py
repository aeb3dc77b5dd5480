"""Is this a picture of one of the classes at all? Scores that fall on pictures of something else.

Every score is one number a picture; the higher, the more it is like the training images. The one in
use, `OODDetector`, adds two that fail on different pictures: energy looks at the answer and misses
what is drawn or printed, the distance looks at colours and edges and misses what is only put
together wrongly. `benchmarks/out_of_scope.py` compares them.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

TARGET_TPR = 0.95  # true positive rate: share of validation images above the threshold
FEWEST = 100  # images to fit to: fitted to fewer, it turns many known pictures away


def logits_and_features(network: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What the network answers about pictures, and what it saw in them at first.

    Args:
        network: A cifarnet in evaluation mode.
        pixels: Normalised pictures, floats (N, 3, S, S).

    Returns:
        Logits (N, C) and features (N, D), the mean of every channel of the first stage; both are
        means over a picture and its mirror image.
    """
    body: Any = network
    both = torch.cat((pixels, pixels.flip(-1)))  # (2 N, 3, S, S)
    last, (first,) = body.forward_intermediates(both, indices=[0])
    logits = body.forward_head(last).float()  # (2 N, C)
    features = first.float().mean(dim=(2, 3))  # (2 N, D)
    n = len(pixels)
    return (logits[:n] + logits[n:]) / 2, (features[:n] + features[n:]) / 2  # (N, C), (N, D)


def energy(logits: Tensor) -> Tensor:
    """Logarithm of the summed exponentials of the logits: float64 (N,) from (N, C).

    Source: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020,
    arXiv:2010.03759, with the sign that makes known pictures high.
    """
    return logits.double().logsumexp(dim=1)


def distance(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Mean squared deviation of features from the usual ones, in standard deviations.

    The Mahalanobis distance of Lee et al., "A simple unified framework for detecting
    out-of-distribution samples", NeurIPS 2018, arXiv:1807.03888, with one diagonal covariance for
    all classes.

    Args:
        features: Floats (N, D).
        mean: Of each feature over known pictures, (D,).
        std: Of each feature over known pictures, (D,).

    Returns:
        float64 (N,), about 1 for known pictures.
    """
    return ((features.double() - mean) / std).square().mean(dim=1)


@dataclass(frozen=True)
class OODDetector:
    """Energy and feature distance together, each in standard deviations of known pictures.

    Attributes:
        mean: Of each feature over known pictures, D numbers.
        std: Of each feature over known pictures, D numbers above 0.
        energy: Mean and standard deviation of `energy` over known pictures.
        distance: Mean and standard deviation of the logarithm of `distance` over known pictures.
        threshold: Score below which a picture shows none of the classes.

    Raises:
        ValueError: If these are not as many finite numbers, or a standard deviation is 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    energy: tuple[float, float]
    distance: tuple[float, float]
    threshold: float

    def __post_init__(self) -> None:
        numbers = [*self.mean, *self.std, *self.energy, *self.distance, self.threshold]
        spreads = [*self.std, *self.energy[1:], *self.distance[1:]]
        sizes = [len(self.std), len(self.energy), len(self.distance)]
        if sizes != [len(self.mean) or 1, 2, 2] or not all(map(math.isfinite, numbers)):
            raise ValueError(f"of the numbers {numbers!r:.80} some are missing or not finite")
        if min(spreads) <= 0:
            raise ValueError(f"a standard deviation is {min(spreads)}")

    def __call__(self, logits: Tensor, features: Tensor) -> Tensor:
        """Scores pictures by what `logits_and_features` gave: float64 (N,)."""
        high = (energy(logits) - self.energy[0]) / self.energy[1]  # (N,)
        far = _log_distance(features, *self._usual)  # (N,)
        return high - (far - self.distance[0]) / self.distance[1]

    @cached_property
    def _usual(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature, float64 (D,) each."""
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.std))
        return mean, std

    @classmethod
    def fit(cls, logits: Tensor, features: Tensor) -> "OODDetector":
        """Fits everything to known pictures that the network was not trained on.

        Args:
            logits: As `logits_and_features` gives them, (N, C).
            features: As `logits_and_features` gives them, (N, D).

        Raises:
            ValueError: If there are fewer than `FEWEST` pictures.
        """
        if len(logits) < FEWEST:
            raise ValueError(f"An OODDetector needs {FEWEST} images; there are {len(logits)}.")
        known = features.double()
        mean, std = _rounded(known.mean(dim=0)), _rounded(known.std(dim=0).clamp(min=1e-6))  # (D,)
        far = _log_distance(features, mean, std)  # (N,)
        detector = cls(
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
            energy=_spread(energy(logits)),
            distance=_spread(far),
            threshold=0.0,
        )
        score = detector(logits, features)  # (N,)
        return replace(detector, threshold=float(score.quantile(1 - TARGET_TPR)))


def _log_distance(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return distance(features, mean, std).clamp(min=1e-12).log()  # (N,)


def _spread(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), max(float(values.std()), 1e-6)


def _rounded(values: Tensor) -> Tensor:
    """Six digits are plenty, and keep config.json readable."""
    return torch.tensor([float(f"{value:.6g}") for value in values.tolist()], dtype=torch.float64)
