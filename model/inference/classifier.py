"""A picture in any form -> what it shows, how sure that is, and why."""

import os
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from .. import hub
from ..augment import normalize
from ..hub import config
from ..utils.errors import ConfigError, ImageError
from ..utils.images import MAX_PIXELS, Pixels, read_image
from . import optimize, scope, views
from .doubt import Doubt, from_dict
from .prediction import Explanation, Prediction, sentence
from .views import Box, Opened

SURE_PART = 0.95  # probability that a part of a picture must reach: many looks, many chances to err
BATCH_SIZE = 32  # pictures that go through the network at once, each with its mirror image


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
            network: Built by timm; mean, std and input_size come from its `pretrained_cfg`. What
                answers is a copy, see `optimize.ready`: do not change it afterwards.
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
        self._ready = optimize.ready(self.network)
        self.image_size: int = card["input_size"][-1]
        self.doubt = doubt or Doubt()
        self.look_closer = True
        """Whether parts of large pictures are looked at where the whole leaves doubt."""
        self.max_pixels = MAX_PIXELS
        """That a picture may have, see `utils.images.read_image`: bounds the memory it takes."""
        self._mean, self._std = card["mean"], card["std"]

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
    ) -> "Classifier":
        """Loads a trained network; see `hub.from_pretrained` for arguments and errors.

        Without a model it takes the weights that come with this code.
        """
        model = model or hub.snapshot.default_model()
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
        large picture, parts of it are looked at too; the most familiar one that leaves no doubt
        answers instead, but only as "unsure": probabilities were calibrated on whole pictures.

        Args:
            images: Path, bytes, Pillow image or array, see `utils.images.read_image`; or a list
                of those, of any mixed kinds and sizes.

        Raises:
            ImageError: If a picture cannot be read; the message says which.
        """
        if not isinstance(images, list | tuple):
            return self.predict([self.open(images)])[0]
        predictions = []
        for start in range(0, len(images), BATCH_SIZE):
            opened = []
            for i, image in enumerate(images[start : start + BATCH_SIZE], start):
                try:
                    opened.append(self.open(image))
                except ImageError as error:
                    raise ImageError(f"Picture {i} of the list, counted from 0: {error}") from None
            predictions += self.predict(opened)
        return predictions

    def preprocess(self, image: Pixels, box: Box | None = None) -> Tensor:
        """Turns a picture, or a part of it, into the pixels that the network sees.

        Args:
            image: See `utils.images.read_image`.
            box: Of a square part, see `Prediction`; None takes the largest centred square.

        Returns:
            uint8 (3, S, S).

        Raises:
            ImageError: If the picture cannot be read, or the box is no square inside of it.
        """
        opened = self.open(image)
        return self._cut(opened, box or views.centre(*opened.size))

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
            image: See `utils.images.read_image`.
            label: The class; None takes the most probable one.
            box: The part to look at; None takes the one that the answer rests on.

        Raises:
            ConfigError: If there is no such class.
            ImageError: If the picture cannot be read, or the box is no square inside of it.
        """
        from . import explain  # captum takes a second to load, and only this needs it

        if label is not None and label not in self.label_names:
            raise ConfigError(
                f"label={label!r} is unknown: choose from {', '.join(self.label_names)}."
            )
        opened = self.open(image)
        if label is None or box is None:
            found = self.predict([opened])[0]
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

    def open(self, source: Pixels) -> Opened:
        """Reads a picture, no larger than needed: a batch of photos would fill the memory.

        Args:
            source: See `utils.images.read_image`.

        Raises:
            ImageError: If the picture cannot be read.
        """
        enough = 2 * views.LARGE * self.image_size
        image = read_image(source, at_least=enough, max_pixels=self.max_pixels)
        size = image.info.get("full_size", image.size)
        by = min(image.size) // enough  # of what was in memory already
        return Opened(image.reduce(by) if by > 1 else image, size)

    def _cut(self, opened: Opened, box: Box) -> Tensor:
        """Pixels of a part, uint8 (3, S, S)."""
        pixels = views.cut(opened.image, opened.inner(box), self.image_size)  # (S, S, 3)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # (3, S, S)

    def _normalized(self, images: Tensor) -> Tensor:
        device = next(self.network.parameters()).device
        return normalize(images.to(device), self._mean, self._std)

    def predict(self, pictures: Sequence[Opened]) -> list[Prediction]:
        """Classifies pictures that `open` has read."""
        found = self._look([(one, views.centre(*one.size)) for one in pictures])
        if not self.look_closer or self.doubt.scope is None:
            return found
        doubtful = [i for i, first in enumerate(found) if first.verdict != "confident"]
        parts = [
            (i, box) for i in doubtful for box in views.parts(*pictures[i].size, self.image_size)
        ]
        seen = self._look([(pictures[i], box) for i, box in parts])
        best: dict[int, Prediction] = {}
        for (i, _), part in zip(parts, seen, strict=True):
            if i not in best or part.scope > best[i].scope:
                best[i] = part
        for i, part in best.items():
            sure = part.verdict == "confident" and part.probability >= SURE_PART
            if sure and part.scope > found[i].scope:
                found[i] = part.of_a_part()
        return found

    def _look(self, parts: list[tuple[Opened, Box]]) -> list[Prediction]:
        """Predictions for parts of pictures, in batches."""
        found = []
        for start in range(0, len(parts), BATCH_SIZE):
            some = parts[start : start + BATCH_SIZE]
            pixels = torch.stack([self._cut(*one) for one in some])  # (N, 3, S, S)
            with torch.inference_mode():
                logits, features = scope.look(self._ready, self._normalized(pixels))
            logits, features = logits.cpu(), features.cpu()  # (N, C), (N, D)
            scores = self.doubt.scores(logits, features).tolist()
            values, order = self.doubt.probabilities(logits).sort(
                dim=1, descending=True, stable=True
            )
            rows = zip(order.tolist(), values.tolist(), scores, some, strict=True)
            found += [self._judged(*row[:3], box=row[3][1]) for row in rows]
        return found

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
            sentence=sentence(verdict, names),
            scope=score,
            box=box,
        )
