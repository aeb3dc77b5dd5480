"""The test pictures behind the numbers, read only when somebody asks to see them."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from model.data import ImageDataset, open_dataset
from model.inference.classifier import Classifier
from model.inference.logits import predict_logits
from model.utils.errors import DataError
from web.report import Results, split_of

MOST_PICTURES = 60  # shown for a cell
MOST_IMAGES = 5_000  # of a class that are classified to find them


@dataclass(frozen=True)
class Seen:
    """One test picture, and what the network names it."""

    index: int
    pixels: np.ndarray
    """uint8 (S, S, 3)."""
    named: int
    probability: float


class TestSet:
    """Finds the pictures that a cell of the confusion matrix counts.

    A class is classified when one of its cells is first asked for, and kept.

    Args:
        dataset: As given on the command line.
        results: Content of results.json, which says what data its numbers come from.
        classifier: What the numbers are about.
    """

    __test__ = False  # no test for pytest

    def __init__(self, dataset: str, results: Results, classifier: Classifier) -> None:
        self._dataset, self._results, self._classifier = dataset, results, classifier
        self._lock = threading.Lock()
        self._classified: dict[int, list[Seen]] = {}

    def cell(self, true: int, predicted: int) -> list[Seen]:
        """Pictures of one class that got the name of one class, the most certain first.

        Raises:
            DataError: If the dataset cannot be reached, or is not the one of the numbers.
        """
        with self._lock:
            if true not in self._classified:
                self._classified[true] = self._classify(true)
            found = [one for one in self._classified[true] if one.named == predicted]
        return sorted(found, key=lambda one: -one.probability)[:MOST_PICTURES]

    def pictures(self, indices: list[int]) -> list[np.ndarray]:
        """Test pictures by their rows in the dataset, uint8 (S, S, 3) each.

        Raises:
            DataError: If the dataset cannot be reached, or is not the one of the numbers.
        """
        with self._lock:
            rows = torch.tensor(indices, dtype=torch.int64)
            images = self._source.splits["test"].load(rows).images  # (n, 3, S, S)
        return list(images.permute(0, 2, 3, 1).numpy())

    @cached_property
    def _source(self) -> ImageDataset:
        source = open_dataset(self._dataset, image_size=self._classifier.image_size)
        measured = self._results["dataset"]
        if (
            split_of(self._results) != "test"
            or list(source.label_names) != measured["label_names"]
            or source.splits["test"].fingerprint != measured["fingerprint"]["test"]
        ):
            raise DataError(
                "The pictures of --dataset are not those that the numbers come from, so only the "
                "numbers are shown."
            )
        return source

    def _classify(self, true: int) -> list[Seen]:
        split = self._source.splits["test"]
        rows = (split.labels == true).nonzero().flatten()[:MOST_IMAGES]
        images = split.load(rows).images  # (n, 3, S, S)
        logits = predict_logits(self._classifier.network, images)
        shares, named = self._classifier.calibration.probabilities(logits).max(dim=1)  # (n,), (n,)
        pixels = images.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)
        found = zip(rows.tolist(), pixels, named.tolist(), shares.tolist(), strict=True)
        return [Seen(*one) for one in found]
