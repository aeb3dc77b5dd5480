"""Stands in for what `model/classifier.py` will offer; deleted once it does."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F

from model import classifier as plain
from model.images import Pixels, read_image

Verdict = Literal["confident", "unsure", "none"]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Prediction(plain.Prediction):
    """What a network sees in one picture, and whether to believe it."""

    verdict: Verdict = "confident"
    sentence: str = ""
    scope: float = 0.0
    box: Box = (0, 0, 0, 0)


@dataclass(frozen=True)
class Explanation:
    """Where in a picture the evidence for a class lies."""

    label: str
    box: Box
    seen: np.ndarray
    heat: np.ndarray


class Classifier(plain.Classifier):
    """Classifies pictures with made-up verdicts."""

    temperature = 0.5

    def __call__(self, images: Any) -> Any:
        """As in `model.classifier`."""
        found = super().__call__(images)
        if isinstance(images, list | tuple):
            return [self._judge(p, i) for p, i in zip(found, images, strict=True)]
        return self._judge(cast(plain.Prediction, found), images)

    def explain(self, image: Pixels, label: str | None = None, box: Any = None) -> Explanation:
        """Hides one patch after the other."""
        x = self.preprocess(image)
        size = self.image_size
        label = label or self(image).label
        index = self.label_names.index(label)
        starts = range(0, size - 7, 4)
        covered = []
        for top in starts:
            for left in starts:
                one = x.clone()
                one[:, top : top + 8, left : left + 8] = 125
                covered.append(one)
        logits = self.logits(torch.stack([x, *covered]))[:, index]
        heat = (logits[0] - logits[1:]).view(1, 1, len(starts), len(starts))
        heat = F.interpolate(heat, (size, size), mode="bilinear")[0, 0]
        heat = heat / heat.abs().max().clamp(min=1e-6)
        seen = x.permute(1, 2, 0).numpy()
        return Explanation(label, self._box(image), seen, heat.numpy())

    @torch.inference_mode()
    def stages(self, image: Pixels, box: Any = None) -> list[np.ndarray]:
        """Feature maps of each stage."""
        x = plain.normalize(self.preprocess(image)[None], self._mean, self._std)
        network: Any = self.network
        maps = network.forward_intermediates(x, intermediates_only=True)
        return [one[0].float().numpy() for one in maps]

    def _judge(self, found: plain.Prediction, image: Pixels) -> Prediction:
        scores = torch.tensor(list(found.probabilities.values())).double().log() / self.temperature
        values = dict(zip(found.probabilities, scores.softmax(0).tolist(), strict=True))
        (first, p), (second, _) = list(values.items())[:2]
        article = "an" if first[0] in "aeiou" else "a"
        verdict: Verdict = "confident"
        sentence = f"This is {article} {first}."
        if p < 0.4:
            verdict, sentence = "none", f"None of the {len(values)} classes."
        elif p < 0.8:
            verdict, sentence = "unsure", f"Unsure: {first} or {second}?"
        return Prediction(first, p, values, verdict, sentence, p, self._box(image))

    def _box(self, image: Pixels) -> Box:
        width, height = read_image(image).size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
