"""A picture in any form -> what it shows, how sure that is, and why."""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor, nn

from .. import hub
from ..augment import normalize
from ..hub import config
from ..hub.pretrained import unwrapped
from ..utils.errors import ConfigError, ImageError
from ..utils.images import MAX_PIXELS, Pixels
from . import crops
from .calibration import Calibration, energy
from .crops import Box, Picture
from .logits import both_views
from .optimize import optimize_for_inference
from .prediction import Explanation, Prediction, sentence

SURE_PART = 0.98  # probability that a part of a picture must reach: many crops, many chances to err
BATCH_SIZE = 32  # pictures that go through the network at once, each with its mirror image

Image: TypeAlias = Pixels | Picture
"""What `utils.images.read_image` takes, or a picture that is decoded already."""


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
        calibration: Calibration | None = None,
    ) -> None:
        """Wraps a network, which is put in evaluation mode.

        Args:
            network: Built by timm, or such a one compiled or wrapped by torch; mean, std and
                input_size come from its `pretrained_cfg`. What answers is a copy, see
                `optimize_for_inference`: do not change it afterwards.
            label_names: Of all classes; None takes those of the config card, else "class 0", ...
            calibration: Temperature and thresholds; None: probabilities are the softmax of the
                logits, and no picture is taken for one of none of the classes.

        Raises:
            ConfigError: If the names do not fit the network.
        """
        self.network: Any = unwrapped(network).eval()
        card, classes = self.network.pretrained_cfg, self.network.num_classes
        if label_names is None and len(card.get("label_names") or ()) == classes:
            label_names = card["label_names"]
        if label_names is None:
            label_names = [f"class {i}" for i in range(classes)]
        config.check_label_names(label_names, classes, "The classifier")
        self.label_names = tuple(label_names)
        self._fast = optimize_for_inference(self.network)
        self.image_size: int = card["input_size"][-1]
        self.calibration = calibration or Calibration()
        self.look_closer = True
        """Whether large pictures are looked at more than once; False: only the centred square."""
        self.max_pixels = MAX_PIXELS
        """Pixels above which a picture is refused, which bounds the memory that it takes."""
        self._mean, self._std = card["mean"], card["std"]

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or sent to another process: not what was made for this one's processor."""
        return {name: value for name, value in vars(self).items() if name != "_fast"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._fast = optimize_for_inference(self.network)

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
        return cls(network, calibration=Calibration.from_dict(ours.get("doubt"), str(model)))

    @property
    def temperature(self) -> float:
        """Divides the logits before they become probabilities."""
        return self.calibration.temperature

    @overload
    def __call__(self, images: Image) -> Prediction: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Image, ...]) -> list[Prediction]: ...

    def __call__(
        self, images: Image | list[Any] | tuple[Image, ...]
    ) -> Prediction | list[Prediction]:
        """Classifies one picture, or a list of them as `predict` does.

        Raises:
            ImageError: If a picture cannot be read.
        """
        if isinstance(images, list | tuple):
            return self.predict(images)
        return self.predict([self.open(images)])[0]

    def predict(self, pictures: Sequence[Image]) -> list[Prediction]:
        """Classifies pictures together, which is faster: the one way from pictures to predictions.

        The largest centred square is looked at, and its mirror image; of a large picture also the
        middle of it and the whole, and probabilities are means. If that leaves doubt about a
        large picture, parts of it are looked at too; the most familiar one that leaves no doubt
        answers instead, but only as "unsure": probabilities were calibrated on whole pictures.

        Args:
            pictures: Paths, bytes, Pillow images, arrays, pictures that `open` has read, of any
                mixed kinds and sizes. At most `BATCH_SIZE` are held in memory at a time.

        Raises:
            ImageError: If a picture cannot be read; the message says which.
        """
        found = []
        for start in range(0, len(pictures), BATCH_SIZE):
            opened = []
            for i, picture in enumerate(pictures[start : start + BATCH_SIZE], start):
                try:
                    opened.append(self.open(picture))
                except ImageError as error:
                    raise ImageError(f"Picture {i} of the list, counted from 0: {error}") from None
            found += self._predict(opened)
        return found

    def open(self, source: Image) -> Picture:
        """Decodes a picture, no larger than needed: a batch of photos would fill the memory.

        Raises:
            ImageError: If the picture cannot be read.
        """
        enough = 2 * crops.LARGE * self.image_size
        if not isinstance(source, Picture):
            source = Picture.read(source, enough, self.max_pixels)
        return source.reduced(enough)

    def preprocess(self, image: Image, box: Box | None = None) -> Tensor:
        """Turns a picture, or a part of it, into the pixels that the network sees.

        Args:
            image: See `predict`.
            box: Of a square part, or the whole; None takes the largest centred square.

        Returns:
            uint8 (3, S, S).

        Raises:
            ImageError: If the picture cannot be read, or the box is no square inside of it.
        """
        picture = self.open(image)
        return self._crop(picture, box or crops.centre(*picture.size))

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
        self, image: Image, label: str | None = None, box: Box | None = None
    ) -> Explanation:
        """Shows where the evidence for a class lies.

        Args:
            image: See `predict`.
            label: The class; None takes the most probable one.
            box: The part to look at; None takes the one that the answer rests on.

        Raises:
            ConfigError: If there is no such class.
            ImageError: If the picture cannot be read, or the box is no square inside of it.
        """
        from . import explain  # captum takes a second to load, and only this needs it

        if label is not None and label not in self.label_names:
            raise ConfigError(
                f"label={label!r} is unknown: choose one of the {len(self.label_names):,} classes, "
                f"such as {', '.join(self.label_names[:10])}."
            )
        picture = self.open(image)
        if label is None or box is None:
            found = self._predict([picture])[0]
            label, box = label or found.label, box or found.box
        pixels = self._crop(picture, box)  # (3, S, S)
        x = self._normalized(pixels[None])  # (1, 3, S, S)
        target = torch.tensor([self.label_names.index(label)], device=x.device)
        heat = explain.attribution(self.network, x, target)[0].cpu()  # (S, S)
        heat = heat / heat.abs().max().clamp(min=1e-12)
        return Explanation(label, box, pixels.permute(1, 2, 0).numpy(), heat.numpy())

    @torch.inference_mode()
    def stages(self, image: Image, box: Box | None = None) -> list[np.ndarray]:
        """What each stage of the network makes of a picture: float32 (channels, h, w) each."""
        x = self._normalized(self.preprocess(image, box)[None])  # (1, 3, S, S)
        maps = self.network.forward_intermediates(x, intermediates_only=True)
        return [one[0].float().cpu().numpy() for one in maps]

    def _predict(self, pictures: list[Picture]) -> list[Prediction]:
        """What `predict` says about decoded pictures."""
        if not self.look_closer:
            return self._look([(one, [crops.centre(*one.size)]) for one in pictures])
        size = self.image_size
        found = self._look([(one, crops.looks(*one.size, size)) for one in pictures])
        if self.calibration.known is None:
            return found
        parts = [
            (i, box)
            for i, first in enumerate(found)
            if first.verdict != "confident"
            for box in crops.parts(*pictures[i].size, size)
        ]
        seen = self._look([(pictures[i], [box]) for i, box in parts])
        best: dict[int, Prediction] = {}  # of each picture, its most familiar part
        for (i, _), part in zip(parts, seen, strict=True):
            if i not in best or part.scope > best[i].scope:
                best[i] = part
        for i, part in best.items():
            sure = part.verdict != "none" and part.probability >= SURE_PART
            if sure and part.scope > found[i].scope:
                found[i] = part.of_a_part()
        return found

    @torch.inference_mode()
    def _look(self, asked: list[tuple[Picture, list[Box]]]) -> list[Prediction]:
        """Predictions for pictures, each by the mean of the logits of its boxes, in batches."""
        squares = [(picture, box) for picture, boxes in asked for box in boxes]
        logits = [torch.empty(0, len(self.label_names))]
        for start in range(0, len(squares), BATCH_SIZE):
            some = squares[start : start + BATCH_SIZE]
            x = self._normalized(torch.stack([self._crop(*one) for one in some]))  # (N, 3, S, S)
            logits.append(both_views(self._fast, x)[1].cpu())  # (N, C)
        counts = [len(boxes) for _, boxes in asked]
        found = []
        for (_, boxes), seen in zip(asked, torch.cat(logits).split(counts), strict=True):  # (k, C)
            share = self.calibration.probabilities(seen.mean(0, keepdim=True))[0]  # (C,)
            values, order = share.sort(descending=True, stable=True)  # (C,), (C,)
            names = [self.label_names[c] for c in order.tolist()]
            best, scope = float(values[0]), float(energy(seen).mean())
            verdict = self.calibration.verdict(best, scope)
            found.append(
                Prediction(
                    label=names[0],
                    probability=best,
                    probabilities=dict(zip(names, values.tolist(), strict=True)),
                    verdict=verdict,
                    sentence=sentence(verdict, names),
                    scope=scope,
                    box=boxes[0],
                )
            )
        return found

    def _crop(self, picture: Picture, box: Box) -> Tensor:
        """Pixels of a part, uint8 (3, S, S)."""
        pixels = picture.crop(box, self.image_size)  # (S, S, 3)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # (3, S, S)

    def _normalized(self, images: Tensor) -> Tensor:
        device = next(self.network.parameters()).device
        return normalize(images.to(device), self._mean, self._std)
