"""Pictures to try the page with: drawn ones, and real test images where a dataset is at hand."""

import sys
import threading
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from model.data import open_dataset
from model.utils import synthetic
from model.utils.errors import CifarnetError
from model.utils.pixels import png
from model.utils.root import ROOT
from web.uploads import content_of

PATIENCE = 10.0  # seconds that the gallery stays open for test images that are still being read
FROM_DATASET = 8  # test images offered


@dataclass(frozen=True)
class Example:
    """A picture to try, where it is from, and what it shows."""

    origin: str
    shows: str
    content: bytes

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.origin}: {self.shows}"


class Examples:
    """What the gallery offers: test images, which come late or never, then the drawings.

    Args:
        labels: Classes that the model knows; drawings of other things still make good riddles.
        dataset: Given on the command line, opened in the background.
    """

    def __init__(self, labels: tuple[str, ...], dataset: str | None) -> None:
        self.ready = {f"drawn-{i}": one for i, one in enumerate(_drawn(labels))}
        """By a key that stays. Nobody waits for those that are still to come."""
        self._thread = threading.Thread(target=self._read, args=(dataset,), daemon=True)
        self._thread.start()

    def content(self, source: str) -> bytes:
        """The picture of a key, or an upload's by its path.

        Raises:
            ImageError: If there is none.
        """
        example = self.ready.get(source)
        return example.content if example else content_of(source)

    def came(self, patience: float = PATIENCE) -> bool:
        """Waits for test images; whether there is anything to wait for, and it came in time."""
        before = len(self.ready)
        self._thread.join(patience)
        return len(self.ready) > before

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
        real = {
            f"test-{i}": Example("Test image", source.label_names[label], png(image))
            for i, (image, label) in enumerate(zip(images, split.labels.tolist(), strict=True))
        }
        self.ready = real | self.ready


def _drawn(labels: tuple[str, ...]) -> list[Example]:
    if "crescent" in labels:
        rng = np.random.default_rng(1)
        shapes = ("star", "crescent", "ring", "checkers")
        drawn = {one: synthetic.picture(synthetic.NAMES.index(one), rng) for one in shapes}
        return [Example("Drawing", name, png(pixels)) for name, pixels in drawn.items()]
    files = sorted((ROOT / "examples").glob("*.png"))
    found = [Example("Drawing", path.stem, path.read_bytes()) for path in files]
    word = Image.new("RGB", (256, 256), "white")  # which none of the ten classes fits
    font, middle = ImageFont.load_default(84), (128, 128)
    ImageDraw.Draw(word).text(middle, "hello", "#1f2933", font, anchor="mm")
    return [*found, Example("Drawing", "a word", png(np.asarray(word)))]
