"""A picture in any form -> what it shows, how sure that is, and why."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model import config, hub, scope, views
from model.augment import normalize
from model.doubt import Doubt, Verdict, from_dict
from model.errors import ConfigError, ImageError
from model.images import Pixels, full_size, read_image
from model.views import Box

SURE_PART = 0.95  # probability that a part of a picture must reach: many looks, many chances to err
BATCH_SIZE = 128  # pictures that go through the network at once, each with its mirror image


@dataclass(frozen=True)
class Prediction:
    """What a network sees in one picture, and whether to believe it.

    Attributes:
        label: The most probable class.
        probability: Of that class, 0 to 1.
        probabilities: Of all classes, the most probable first; they sum to 1.
        verdict: "confident", "unsure", or "none" for a picture of none of the classes.
        sentence: The verdict in words.
        scope: How much the picture is like the known ones; 0 where the model cannot tell.
        box: Left, top, right and bottom, in pixels of the upright picture, of the part that the
            answer rests on.
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


@dataclass(frozen=True)
class _Opened:
    """An upright RGB picture, perhaps reduced: sides are 1 / `scale` of the original's."""

    image: Image.Image
    scale: float


class Classifier:
    """Classifies pictures with a trained network, says how sure it is, and explains itself.

    >>> classify = Classifier.from_pretrained("runs/my-run")
    >>> classify("photo.jpg").sentence
    'This is a cat.'
    """

    def __init__(
        self,
        network: nn.Module,
        label_names: Sequence[str] | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        """Wraps a network, which is put in evaluation mode.

        Args:
            network: Built by timm; mean, std and input_size come from its `pretrained_cfg`.
            label_names: Of all classes; None takes those of the config card, else "class 0", ...
            doubt: Temperature and thresholds; None: probabilities are the softmax of the logits,
                and no picture is out of scope.

        Raises:
            ConfigError: If the names do not fit the network.
        """
        card: Any = network.pretrained_cfg
        classes: Any = network.num_classes
        if label_names is None and len(card.get("label_names") or ()) == classes:
            label_names = card["label_names"]
        if label_names is None:
            label_names = [f"class {i}" for i in range(classes)]
        self.label_names = tuple(config.check_label_names(label_names, classes))
        self.network = network.eval()
        self.image_size: int = card["input_size"][-1]
        self.doubt = doubt or Doubt()
        self.look_closer = True
        """Whether parts of large pictures are looked at where the whole leaves doubt."""
        self._mean, self._std = card["mean"], card["std"]

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
    ) -> "Classifier":
        """Loads a trained network; see `model.hub.from_pretrained` for arguments and errors."""
        network, content = hub.load(model, revision=revision, device=device)
        ours = content.get(config.KEY) or {}
        doubt = from_dict(ours.get("doubt"), str(model))
        features: Any = network.feature_info
        if doubt.scope and len(doubt.scope.mean) != features[0]["num_chs"]:
            raise ConfigError(
                f"{model}: cifarnet.doubt.scope has {len(doubt.scope.mean)} features, the network "
                f"{features[0]['num_chs']}; restore the file."
            )
        return cls(network, doubt=doubt)

    @property
    def temperature(self) -> float:
        """Divides the logits before they become probabilities."""
        return self.doubt.temperature

    @overload
    def __call__(self, images: Pixels) -> Prediction: ...

    @overload
    def __call__(self, images: list[Pixels] | tuple[Pixels, ...]) -> list[Prediction]: ...

    def __call__(
        self, images: Pixels | list[Pixels] | tuple[Pixels, ...]
    ) -> Prediction | list[Prediction]:
        """Classifies one picture, or several at once, which is faster.

        The largest centred square is looked at, and its mirror image. If that leaves doubt about a
        large picture, parts of it are looked at too, and the most familiar one may answer instead.

        Args:
            images: Path, bytes, Pillow image or array, see `model.images.read_image`; or a list
                of those, of any mixed kinds and sizes.

        Raises:
            ImageError: If a picture cannot be read; the message says which.
        """
        if not isinstance(images, list | tuple):
            return self._predict([self._open(images)])[0]
        predictions = []
        for start in range(0, len(images), BATCH_SIZE):
            opened = []
            for i, image in enumerate(images[start : start + BATCH_SIZE], start):
                try:
                    opened.append(self._open(image))
                except ImageError as error:
                    raise ImageError(f"Picture {i} of the list, counted from 0: {error}") from None
            predictions += self._predict(opened)
        return predictions

    def preprocess(self, image: Pixels, box: Box | None = None) -> Tensor:
        """Turns a picture, or a part of it, into the pixels that the network sees.

        Args:
            image: See `model.images.read_image`.
            box: Of a square part, see `Prediction`; None takes the largest centred square.

        Returns:
            uint8 (3, S, S).

        Raises:
            ImageError: If the picture cannot be read.
        """
        return self._cut(self._open(image), box)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Runs the network on preprocessed pictures, once each and without their mirror images.

        Args:
            images: uint8 (N, 3, S, S).

        Returns:
            float32 (N, C) on the CPU.
        """
        return self.network(self._normalized(images)).float().cpu()

    def explain(
        self, image: Pixels, label: str | None = None, box: Box | None = None
    ) -> Explanation:
        """Shows where the evidence for a class lies.

        Args:
            image: See `model.images.read_image`.
            label: The class; None takes the most probable one.
            box: The part to look at; None takes the one that the answer rests on.

        Raises:
            ConfigError: If there is no such class.
            ImageError: If the picture cannot be read.
        """
        from model import explain  # captum takes a second to load, and only this needs it

        if label is not None and label not in self.label_names:
            raise ConfigError(
                f"label={label!r} is unknown: choose from {', '.join(self.label_names)}."
            )
        opened = self._open(image)
        if label is None or box is None:
            found = self._predict([opened])[0]
            label, box = label or found.label, box or found.box
        pixels = self._cut(opened, box)  # (3, S, S)
        x = self._normalized(pixels[None])  # (1, 3, S, S)
        target = torch.tensor([self.label_names.index(label)], device=x.device)
        heat = explain.attribution(self.network, x, target)[0].cpu()  # (S, S)
        heat = heat / heat.abs().max().clamp(min=1e-12)
        return Explanation(label, box, pixels.permute(1, 2, 0).numpy(), heat.numpy())

    @torch.inference_mode()
    def stages(self, image: Pixels, box: Box | None = None) -> list[np.ndarray]:
        """What each stage of the network makes of a picture: float32 (channels, h, w) each."""
        x = self._normalized(self.preprocess(image, box)[None])  # (1, 3, S, S)
        network: Any = self.network
        maps = network.forward_intermediates(x, intermediates_only=True)
        return [one[0].float().cpu().numpy() for one in maps]

    def _open(self, source: Pixels) -> _Opened:
        image = read_image(source, at_least=views.LARGE * 2 * self.image_size)
        size = full_size(source)
        return _Opened(image, max(size) / max(image.size) if size else 1.0)

    def _cut(self, opened: _Opened, box: Box | None = None) -> Tensor:
        """Pixels of a part given in the original's coordinates, uint8 (3, S, S)."""
        inner = views.centre(*opened.image.size)
        if box:
            left, top, right, bottom = (round(edge / opened.scale) for edge in box)
            inner = (left, top, max(right, left + 1), max(bottom, top + 1))
        pixels = views.cut(opened.image, inner, self.image_size)  # (S, S, 3)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # (3, S, S)

    def _normalized(self, images: Tensor) -> Tensor:
        device = next(self.network.parameters()).device
        return normalize(images.to(device), self._mean, self._std)

    def _predict(self, pictures: list[_Opened]) -> list[Prediction]:
        centres = [_outer(views.centre(*one.image.size), one.scale) for one in pictures]
        found = self._look([self._cut(one) for one in pictures], centres)
        return [
            first if first.verdict == "confident" else self._closer(one, first)
            for one, first in zip(pictures, found, strict=True)
        ]

    def _closer(self, opened: _Opened, first: Prediction) -> Prediction:
        """Looks at parts of a picture; the most familiar one answers if it leaves no doubt."""
        if not self.look_closer or self.doubt.scope is None:
            return first
        boxes = views.parts(*opened.image.size, self.image_size)
        if not boxes:
            return first
        outer = [_outer(box, opened.scale) for box in boxes]
        found = self._look([self._cut(opened, box) for box in outer], outer)
        best = max(found, key=lambda one: one.scope)
        sure = best.verdict == "confident" and best.probability >= SURE_PART
        return best if sure and best.scope > first.scope else first

    @torch.inference_mode()
    def _look(self, pixels: list[Tensor], boxes: list[Box]) -> list[Prediction]:
        """Predictions for preprocessed pictures or parts."""
        logits, features = scope.look(self.network, self._normalized(torch.stack(pixels)))
        logits, features = logits.cpu(), features.cpu()  # (N, C), (N, D)
        scores = self.doubt.scores(logits, features).tolist()
        values, order = self.doubt.probabilities(logits).sort(dim=1, descending=True, stable=True)
        rows = zip(order.tolist(), values.tolist(), scores, boxes, strict=True)
        return [self._judged(*row) for row in rows]

    def _judged(
        self, classes: list[int], values: list[float], score: float, box: Box
    ) -> Prediction:
        names = [self.label_names[i] for i in classes]
        verdict = self.doubt.verdict(values[0], score)
        return Prediction(
            label=names[0],
            probability=values[0],
            probabilities=dict(zip(names, values, strict=True)),
            verdict=verdict,
            sentence=_sentence(verdict, names),
            scope=score,
            box=box,
        )


def _sentence(verdict: Verdict, names: list[str]) -> str:
    if verdict == "none":
        return f"None of the {len(names)} classes."
    if verdict == "unsure" and len(names) > 1:
        return f"Unsure: {names[0]} or {names[1]}?"
    article = "an" if names[0][0].lower() in "aeiou" else "a"
    return f"This is {article} {names[0]}."


def _outer(box: Box, scale: float) -> Box:
    """A box in the original's coordinates."""
    left, top, right, bottom = (round(edge * scale) for edge in box)
    return left, top, right, bottom
