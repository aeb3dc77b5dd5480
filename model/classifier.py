"""A picture in any form -> what it shows, and how probable that is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from model import config, hub
from model.augment import normalize
from model.errors import ImageError
from model.images import Pixels, read_square

BATCH_SIZE = 256  # images that go through the network at once


@dataclass(frozen=True)
class Prediction:
    """What a network sees in one picture.

    Attributes:
        label: The most probable class.
        probability: Of that class, 0 to 1.
        probabilities: Of all classes, the most probable first; they sum to 1.
    """

    label: str
    probability: float
    probabilities: dict[str, float]

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k most probable classes with their probabilities, or all if there are fewer."""
        return list(self.probabilities.items())[: max(k, 0)]


class Classifier:
    """Classifies pictures with a trained network.

    >>> classify = Classifier.from_pretrained("runs/my-run")
    >>> classify("photo.jpg").label
    'cat'
    """

    def __init__(self, network: nn.Module, label_names: Sequence[str] | None = None) -> None:
        """Wraps a network, which is put in evaluation mode.

        Args:
            network: Built by timm; mean, std and input_size come from its `pretrained_cfg`.
            label_names: Of all classes; None takes those of the config card, else "class 0", ...

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
        return cls(hub.from_pretrained(model, revision=revision, device=device))

    @overload
    def __call__(self, images: Pixels) -> Prediction: ...

    @overload
    def __call__(self, images: list[Pixels] | tuple[Pixels, ...]) -> list[Prediction]: ...

    def __call__(
        self, images: Pixels | list[Pixels] | tuple[Pixels, ...]
    ) -> Prediction | list[Prediction]:
        """Classifies one picture, or several at once, which is faster.

        Args:
            images: Path, bytes, Pillow image or array, see `model.images.read_image`; or a list
                of those, of any mixed kinds and sizes.

        Raises:
            ImageError: If a picture cannot be read; the message says which.
        """
        if not isinstance(images, list | tuple):
            return self._predict([self.preprocess(images)])[0]
        predictions = []
        for start in range(0, len(images), BATCH_SIZE):
            pixels = []
            for i, image in enumerate(images[start : start + BATCH_SIZE], start):
                try:
                    pixels.append(self.preprocess(image))
                except ImageError as error:
                    raise ImageError(f"Picture {i} of the list, counted from 0: {error}") from None
            predictions += self._predict(pixels)
        return predictions

    def preprocess(self, image: Pixels) -> Tensor:
        """Turns a picture into the pixels that the network sees: the largest centred square.

        Args:
            image: See `model.images.read_image`.

        Returns:
            uint8 (3, S, S).

        Raises:
            ImageError: If the picture cannot be read.
        """
        pixels = read_square(image, self.image_size)  # (S, S, 3)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # (3, S, S)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Runs the network on preprocessed pictures.

        Args:
            images: uint8 (N, 3, S, S).

        Returns:
            float32 (N, C) on the CPU.
        """
        device = next(self.network.parameters()).device
        return self.network(normalize(images.to(device), self._mean, self._std)).float().cpu()

    def _predict(self, pixels: list[Tensor]) -> list[Prediction]:
        logits = self.logits(torch.stack(pixels))  # (N, C)
        probabilities = logits.double().softmax(dim=1)  # (N, C)
        values, order = probabilities.sort(dim=1, descending=True, stable=True)
        return [
            Prediction(
                self.label_names[classes[0]],
                row[0],
                {self.label_names[i]: value for i, value in zip(classes, row, strict=True)},
            )
            for classes, row in zip(order.tolist(), values.tolist(), strict=True)
        ]
