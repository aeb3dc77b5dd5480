"""Pictures to try the page with: drawn ones, and real test images where a dataset is at hand."""

import io
import sys
import threading
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from model.data import open_dataset
from model.utils import synthetic
from model.utils.errors import CifarnetError
from model.utils.root import ROOT

PATIENCE = 4.0  # seconds that a visitor waits for test images before there are only drawings
CHART = ("#2b6195", "#c4552d", "#5b8c5a", "#8a6bb1")
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
            labels = source.splits["test"].labels
            classes = labels.unique().tolist()
            picks = np.random.default_rng(0).permutation(len(classes))[:FROM_DATASET]
            rows = [int((labels == classes[i]).nonzero()[0]) for i in sorted(picks)]
            split = source.splits["test"].load(torch.tensor(rows))
        except CifarnetError as error:
            print(f"warning: there are no test pictures. {error}", file=sys.stderr, flush=True)
            return
        images = split.images.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)
        self._real = [
            Example(f"Test image: {source.label_names[label]}", _png(Image.fromarray(image)))
            for image, label in zip(images, split.labels.tolist(), strict=True)
        ]


def _drawn() -> list[Example]:
    files = sorted((ROOT / "examples").glob("*.png"))
    found = [Example(f"Drawing: {path.stem}", path.read_bytes()) for path in files]
    return [*found, Example("Drawing: a bar chart", _chart()), Example("Drawing: a word", _word())]


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


def _chart() -> bytes:
    """Something that none of the ten classes fits."""
    image = Image.new("RGB", (256, 256), "#fcfcfa")
    draw = ImageDraw.Draw(image)
    for i, (height, colour) in enumerate(zip((70, 130, 95, 175), CHART, strict=True)):
        draw.rectangle((34 + 50 * i, 216 - height, 70 + 50 * i, 216), fill=colour)
    draw.line((22, 30, 22, 217, 236, 217), fill="#1f2933", width=4)
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
