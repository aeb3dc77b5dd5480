"""When to doubt: how probable answers are, which count as sure, and the edge of what is known.

Everything here is fitted on images that the network did not learn from, and kept in config.json.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..utils.errors import ConfigError
from .calibration import fit_temperature
from .scope import FEWEST, Scope

SURE = 0.98  # share of the confident answers that should be right
Verdict = Literal["confident", "unsure", "none"]


@dataclass(frozen=True)
class Doubt:
    """What a classifier knows about its own limits; the defaults know nothing.

    Attributes:
        temperature: Divides the logits before softmax, above 0.
        confident: Probability, 0 to 1, from which an answer counts as sure.
        scope: Tells pictures of something else; None: unknown.
    """

    temperature: float = 1.0
    confident: float = 0.75
    scope: Scope | None = None

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, float64 (N, C), from logits (N, C)."""
        return (logits.double() / self.temperature).softmax(dim=1)

    def scores(self, logits: Tensor, features: Tensor) -> Tensor:
        """How much pictures are like the known ones, float64 (N,); all 0 where that is unknown."""
        if self.scope is None:
            return torch.zeros(len(logits), dtype=torch.float64)
        return self.scope(logits, features)

    def verdict(self, probability: float, score: float) -> Verdict:
        """Judges one picture by its best class's probability and its scope score."""
        if self.scope is not None and score < self.scope.threshold:
            return "none"
        return "confident" if probability >= self.confident else "unsure"

    def to_dict(self) -> dict[str, Any]:
        """As JSON's types."""
        return asdict(self)


def fit(logits: Tensor, features: Tensor, labels: Tensor) -> Doubt:
    """Fits everything to what `scope.look` gave for images that were not trained on.

    Where there are too few of them for a scope, no picture is out of scope.

    Args:
        logits: Floats (N, C).
        features: Floats (N, D).
        labels: True classes, int64 (N,).

    Raises:
        ValueError: If there are no images.
    """
    temperature = fit_temperature(logits, labels)
    best, predicted = (logits.double() / temperature).softmax(dim=1).max(dim=1)  # (N,), (N,)
    return Doubt(
        temperature=temperature,
        confident=_confident(best, predicted == labels),
        scope=Scope.fit(logits, features) if len(labels) >= FEWEST else None,
    )


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


def from_dict(content: Any, where: str) -> Doubt:
    """Reads what `Doubt.to_dict` wrote; None gives the defaults.

    Raises:
        ConfigError: naming the key, its value and the remedy.
    """
    if content is None:
        return Doubt()
    limits = {"temperature": (1e-3, 1e3), "confident": (0.0, 1.0)}
    if not isinstance(content, dict) or content.keys() != {*limits, "scope"}:
        raise _wrong(where, "", content)
    for name, (low, high) in limits.items():
        if not _number(content[name]) or not low <= content[name] <= high:
            raise _wrong(where, f".{name}", content[name])
    numbers = {name: float(content[name]) for name in limits}
    return Doubt(**numbers, scope=_scope(content["scope"], where))


def _scope(content: Any, where: str) -> Scope | None:
    if content is None:
        return None
    lists = ("mean", "std", "energy", "distance")
    if not isinstance(content, dict) or content.keys() != {*lists, "threshold"}:
        raise _wrong(where, ".scope", content)
    for name in lists:
        values = content[name]
        if not isinstance(values, list | tuple) or not values or not all(map(_number, values)):
            raise _wrong(where, f".scope.{name}", values)
    spreads = [*content["std"], *content["energy"][1:], *content["distance"][1:]]
    sizes = [len(content[name]) for name in lists]
    if sizes[0] != sizes[1] or sizes[2:] != [2, 2] or min(spreads) <= 0:
        raise _wrong(where, ".scope", content)
    if not _number(content["threshold"]):
        raise _wrong(where, ".scope.threshold", content["threshold"])
    return Scope(**{name: tuple(content[name]) for name in lists}, threshold=content["threshold"])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(where: str, key: str, value: Any) -> ConfigError:
    return ConfigError(f"{where}: cifarnet.doubt{key} is {value!r:.80}; restore the file.")
