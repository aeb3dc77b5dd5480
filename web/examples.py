"""Pictures to try the page with: drawn ones, and real test images where a dataset is at hand."""

import io
import threading
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from model import synthetic
from model.data import open_dataset
from model.errors import CifarnetError
from web.models import ROOT

PATIENCE = 4.0  # seconds that a visitor waits for test images before there are only drawings
FROM_DATASET = 8  # test images offered


@dataclass(frozen=True)
class Example:
    """A picture to try, and what to call it."""

    name: str
    content: bytes


class Examples:
    """What the gallery offers.

    Args:
        labels: Classes that the model knows; drawings of other things still make good riddles.
        dataset: Given on the command line, opened in the background.
    """

    def __init__(self, labels: tuple[str, ...], dataset: str | None) -> None:
        self._drawn = _shapes() if "crescent" in labels else _drawn()
        self._real: list[Example] = []
        self._thread = threading.Thread(target=self._read, args=(dataset,), daemon=True)
        self._thread.start()

    def all(self) -> dict[str, Example]:
        """By a key that stays: test images, which come late or never, then the drawings."""
        self._thread.join(PATIENCE)
        real = {f"test-{i}": one for i, one in enumerate(self._real)}
        return real | {f"drawn-{i}": one for i, one in enumerate(self._drawn)}

    def _read(self, dataset: str | None) -> None:
        if dataset is None:
            return
        try:
            source = open_dataset(dataset)
            labels = source.labels("test")
            classes = labels.unique().tolist()
            picks = np.random.default_rng(0).permutation(len(classes))[:FROM_DATASET]
            rows = [int((labels == classes[i]).nonzero()[0]) for i in sorted(picks)]
            split = source.load("test", torch.tensor(rows))
        except CifarnetError:
            return  # the tab "How good is it?" says why
        images = split.images.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)
        self._real = [
            Example(f"Test image: {source.label_names[label]}", _png(Image.fromarray(image)))
            for image, label in zip(images, split.labels.tolist(), strict=True)
        ]


def _drawn() -> list[Example]:
    files = sorted((ROOT / "examples").glob("*.png"))
    found = [Example(f"Drawing: {path.stem}", path.read_bytes()) for path in files]
    return [*found, Example("Drawing: a house", _house()), Example("Drawing: a word", _word())]


def _shapes() -> list[Example]:
    rng = np.random.default_rng(1)
    names = ("star", "crescent", "ring", "checkers")
    return [
        Example(
            f"Drawing: {name}",
            _png(Image.fromarray(synthetic.picture(synthetic.NAMES.index(name), rng))),
        )
        for name in names
    ]


def _house() -> bytes:
    """Something that none of the ten classes fits."""
    image = Image.new("RGB", (256, 256), "#bcd8ee")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 190, 256, 256), fill="#7fa66a")
    draw.rectangle((70, 110, 190, 205), fill="#e8d9b5")
    draw.polygon([(55, 112), (130, 50), (205, 112)], fill="#a8483a")
    draw.rectangle((115, 150, 145, 205), fill="#6d4a33")
    for left in (82, 156):
        draw.rectangle((left, 130, left + 24, 154), fill="#f7f3df", outline="#6d4a33", width=3)
    return _png(image)


def _word() -> bytes:
    """A picture of text."""
    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    draw.text((128, 128), "hello", "#1f2933", ImageFont.load_default(84), anchor="mm")
    return _png(image)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
