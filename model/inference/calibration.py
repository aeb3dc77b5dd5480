"""Calibration: how probable answers are, which of them count as sure, and what is out of reach.

Everything here is fitted on images that the network was not trained on, and kept in config.json
under `cifarnet.doubt`. One number, the temperature, divides all logits, which never changes the
class that comes first. Source of the scaling: Guo et al., "On calibration of modern neural
networks", ICML 2017, arXiv:1706.04599; of how the number is fitted here: Clarté et al.,
"Expectation consistency for calibration of neural networks", UAI 2023, arXiv:2303.02644.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..utils.errors import ConfigError

LOWEST, HIGHEST = 0.01, 100.0  # temperatures
HALVINGS = 60
SURE = 0.985  # share of the confident answers that should be right
AT_LEAST = 0.9  # of few images, where one mistake is a large share
TARGET_TPR = 0.95  # true positive rate: share of known pictures that are not called "none"
FEWEST = 100  # images to fit to: fitted to fewer, "none" turns many known pictures away
FEW_CALLED_NONE = 0.2  # of fewer, distorted ones among them: about a tenth of the undistorted
Verdict = Literal["confident", "unsure", "none"]


@dataclass(frozen=True)
class Calibration:
    """How far a network's answers can be believed; the defaults change no answer.

    Attributes:
        temperature: Divides the logits before softmax, above 0.
        confident: Probability, 0 to 1, from which an answer counts as sure.
        known: Energy below which a picture shows none of the classes; None: no picture is taken
            for one.

    Raises:
        ValueError: If a number is out of range.
    """

    temperature: float = 1.0
    confident: float = 0.75
    known: float | None = None

    def __post_init__(self) -> None:
        limits = [("temperature", 1e-3, 1e3), ("confident", 0.0, 1.0)]
        if self.known is not None:
            limits.append(("known", -1e6, 1e6))
        for name, low, high in limits:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r:.80}, not a number from {low:g} to {high:g}")

    @classmethod
    def fit(cls, logits: Tensor, labels: Tensor, distorted: Tensor | None = None) -> "Calibration":
        """Fits everything to the validation images; with fewer than `FEWEST` in all, no "none".

        Args:
            logits: As `logits.both_views` gives them, (N, C), of one image at least.
            labels: True classes, int64 (N,).
            distorted: Logits of the same images after `distort`, once or several times over,
                (k * N, C). From which probability on answers are sure is fitted to these as well:
                on clean images alone, a network is surer than it may be of photographs. So is all
                else where there are fewer than `FEWEST` images; then answers are also sure where
                their probabilities promise the share `SURE`, if `AT_LEAST` were seen to be right.
        """
        few = len(labels) < FEWEST
        every = logits if distorted is None else torch.cat((logits, distorted))  # (M, C)
        truth = labels.repeat(len(every) // len(labels))  # (M,)
        if few:
            logits, labels = every, truth
        temperature = fit_temperature(logits, labels)
        best, predicted = (every.double() / temperature).softmax(dim=1).max(dim=1)  # (M,), (M,)
        confident = _confident(best, predicted == truth)
        if few:  # one sure mistake among them would leave nothing confident
            stated = max(_confident(best, best), _confident(best, predicted == truth, AT_LEAST))
            confident = min(confident, stated)
        return cls(
            temperature=temperature,
            confident=confident,
            known=_least_energy(logits, FEW_CALLED_NONE if few else 1 - TARGET_TPR),
        )

    @classmethod
    def from_dict(cls, content: Any, where: str) -> "Calibration":
        """Reads what `to_dict` wrote; None gives the defaults.

        Raises:
            ConfigError: That says what is wrong, and the remedy.
        """
        if content is None:
            return cls()
        try:
            # Cards of before kept another score here, of which nothing is left.
            return cls(content["temperature"], content["confident"], content.get("known"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{where}: cifarnet.doubt is damaged, {type(error).__name__}: {error}; restore the "
                "file."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """The entry `cifarnet.doubt` of config.json."""
        return asdict(self)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, float64 (N, C), from logits (N, C)."""
        return (logits.double() / self.temperature).softmax(dim=1)

    def verdict(self, probability: float, energy: float) -> Verdict:
        """Judges one picture by the probability of its best class and by its energy."""
        if self.known is not None and energy < self.known:
            return "none"
        return "confident" if probability >= self.confident else "unsure"


def energy(logits: Tensor) -> Tensor:
    """Logarithm of the summed exponentials of the logits: float64 (N,) from (N, C).

    Is this a picture of one of the classes at all? The higher, the more it is like those that were
    trained on. `benchmarks/out_of_scope.py` compares it with other scores. Source: Liu et al.,
    "Energy-based out-of-distribution detection", NeurIPS 2020, arXiv:2010.03759, with the sign that
    makes known pictures high.
    """
    return logits.double().logsumexp(dim=1)


def _least_energy(logits: Tensor, below: float) -> float | None:
    """The energy below which a share of known pictures lies; None of too few pictures."""
    if len(logits) < FEWEST:
        return None
    return round(float(energy(logits).quantile(below)), 6)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Finds the temperature at which the mean confidence of the answers is their accuracy.

    The accuracy is taken as (right + 1) / (N + 2), Laplace's rule, so that nobody is ever quite
    certain.

    Args:
        logits: Floats (N, C) of images that the network was not trained on.
        labels: True classes, int64 (N,).

    Returns:
        From 0.01 to 100; below 1 makes probabilities more extreme, above 1 more even.

    Raises:
        ValueError: If there are no images.
    """
    if len(labels) == 0:
        raise ValueError("A temperature needs at least one image; there are none.")
    logits, labels = logits.cpu().double(), labels.cpu()
    right = int((logits.argmax(dim=1) == labels).sum())
    accuracy = (right + 1) / (len(labels) + 2)
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(HALVINGS):  # the mean confidence falls as the temperature rises
        middle = (low + high) / 2
        confidence = (logits / math.exp(middle)).softmax(dim=1).amax(dim=1).mean()
        low, high = (middle, high) if confidence > accuracy else (low, middle)
    return round(math.exp(high), 6)


def _confident(probability: Tensor, right: Tensor, aim: float = SURE) -> float:
    """The lowest probability from which the share `aim` of answers is right, at least 0.5.

    `right` may also be how probably each answer is right. Counted by Laplace's rule, as for the
    temperature. 1 where no such probability exists: then nothing is called sure.
    """
    falling, order = probability.sort(descending=True)  # (N,), (N,)
    count = torch.arange(1, len(order) + 1)  # (N,)
    share = (right[order].double().cumsum(0) + 1) / (count + 2)  # (N,)
    last = torch.cat((falling[1:] < falling[:-1], torch.tensor([True])))  # of equal ones, (N,)
    good = ((share >= aim) & last).nonzero().flatten()
    return max(float(falling[good[-1]]), 0.5) if len(good) else 1.0
