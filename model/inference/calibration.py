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
from .ood import FEWEST, OODDetector

LOWEST, HIGHEST = 0.01, 100.0  # temperatures
HALVINGS = 60
SURE = 0.98  # share of the confident answers that should be right
Verdict = Literal["confident", "unsure", "none"]


@dataclass(frozen=True)
class Calibration:
    """How far a network's answers can be believed; the defaults change no answer.

    Attributes:
        temperature: Divides the logits before softmax, above 0.
        confident: Probability, 0 to 1, from which an answer counts as sure.
        detector: Tells pictures of none of the classes; None: no picture is taken for one.

    Raises:
        ValueError: If a number is out of range.
    """

    temperature: float = 1.0
    confident: float = 0.75
    detector: OODDetector | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("temperature", 1e-3, 1e3), ("confident", 0.0, 1.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r:.80}, not a number from {low:g} to {high:g}")

    @classmethod
    def fit(
        cls,
        logits: Tensor,
        features: Tensor,
        labels: Tensor,
        distorted: tuple[Tensor, Tensor] | None = None,
    ) -> "Calibration":
        """Fits everything to the validation images; with fewer than `FEWEST` in all, no detector.

        Args:
            logits: As `ood.logits_and_features` gives them, (N, C).
            features: As `ood.logits_and_features` gives them, (N, D).
            labels: True classes, int64 (N,).
            distorted: Logits and features of the same images after `distort`, once or several
                times over, (k * N, C) and (k * N, D). From which probability on answers are sure
                is fitted to these as well: on clean images alone, a network is surer than it may
                be of photographs. So is all else where there are fewer than `FEWEST` images.

        Raises:
            ValueError: If there are no images.
        """
        every, seen = logits, features
        if distorted is not None:
            every = torch.cat((logits, distorted[0]))  # (M, C)
            seen = torch.cat((features, distorted[1]))  # (M, D)
        known = (logits, features) if len(labels) >= FEWEST else (every, seen)
        temperature = fit_temperature(known[0], labels.repeat(len(known[0]) // len(labels)))
        best, predicted = (every.double() / temperature).softmax(dim=1).max(dim=1)  # (M,), (M,)
        return cls(
            temperature=temperature,
            confident=_confident(best, predicted == labels.repeat(len(every) // len(labels))),
            detector=OODDetector.fit(*known) if len(known[0]) >= FEWEST else None,
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
            scope, detector = content["scope"], None
            if scope is not None:
                lists = {name: tuple(scope[name]) for name in ("mean", "std", "energy", "distance")}
                detector = OODDetector(**lists, threshold=scope["threshold"])
            return cls(content["temperature"], content["confident"], detector)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{where}: cifarnet.doubt is damaged, {type(error).__name__}: {error}; restore the "
                "file."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """The entry `cifarnet.doubt` of config.json."""
        return {
            "temperature": self.temperature,
            "confident": self.confident,
            "scope": self.detector and asdict(self.detector),
        }

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, float64 (N, C), from logits (N, C)."""
        return (logits.double() / self.temperature).softmax(dim=1)

    def scores(self, logits: Tensor, features: Tensor) -> Tensor:
        """Scores of the detector, float64 (N,), high for known pictures; all 0 without one."""
        if self.detector is None:
            return torch.zeros(len(logits), dtype=torch.float64)
        return self.detector(logits, features)

    def verdict(self, probability: float, score: float) -> Verdict:
        """Judges one picture by the probability of its best class and the detector's score."""
        if self.detector is not None and score < self.detector.threshold:
            return "none"
        return "confident" if probability >= self.confident else "unsure"


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


def _confident(probability: Tensor, right: Tensor) -> float:
    """The lowest probability from which the share `SURE` of answers is right, at least 0.5.

    Counted by Laplace's rule, as for the temperature. 1 where no such probability exists: then
    nothing is called sure.
    """
    falling, order = probability.sort(descending=True)  # (N,), (N,)
    count = torch.arange(1, len(order) + 1)  # (N,)
    share = (right[order].double().cumsum(0) + 1) / (count + 2)  # (N,)
    last = torch.cat((falling[1:] < falling[:-1], torch.tensor([True])))  # of equal ones, (N,)
    good = ((share >= SURE) & last).nonzero().flatten()
    return max(float(falling[good[-1]]), 0.5) if len(good) else 1.0
