"""What a classifier says about a picture."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from .calibration import Verdict
from .crops import Box


@dataclass(frozen=True)
class Prediction:
    """What a network sees in one picture, and whether to believe it.

    Attributes:
        label: The most probable class.
        probability: Of that class, 0 to 1; calibrated on pictures of the network's size. Of a large
            picture the mean over looks at it as a whole; of a part of it, not calibrated.
        probabilities: Of all classes, the most probable first; they sum to 1.
        verdict: "confident", "unsure", or "none" for a picture of none of the classes.
        sentence: The verdict in words.
        scope: Energy of the picture, the higher the more it is like those of the classes.
        box: Left, top, right and bottom of the part that the answer rests on, in pixels of the
            original upright picture, however many of them were decoded; where several looks at the
            whole were averaged, of its largest centred square.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    verdict: Verdict
    sentence: str
    scope: float
    box: Box

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k most probable classes with their probabilities, or all if there are fewer."""
        return list(self.probabilities.items())[: max(k, 0)]

    def of_a_part(self) -> "Prediction":
        """The same as the answer of a part of a picture, which is never sure."""
        words = f"Perhaps {_named(self.label)}, in a part of the picture."
        return dataclasses.replace(self, verdict="unsure", sentence=words)


@dataclass(frozen=True)
class Explanation:
    """Where in a picture the evidence for a class lies.

    Attributes:
        label: The class explained.
        box: The part of the picture that `seen` and `heat` show, see `Prediction`.
        seen: What the network sees, uint8 (S, S, 3).
        heat: float32 (S, S) in [-1, 1]: above 0 speaks for the class, below 0 against it.
    """

    label: str
    box: Box
    seen: np.ndarray
    heat: np.ndarray


def sentence(verdict: Verdict, names: list[str]) -> str:
    """A verdict in words; `names` of classes, the most probable first."""
    if verdict == "none":
        return f"None of the {len(names):,} classes."
    if verdict == "unsure" and len(names) > 1:
        return f"Unsure: {names[0]} or {names[1]}?"
    return f"This is {_named(names[0])}."


def _named(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
