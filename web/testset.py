"""The test pictures behind the numbers, read only when somebody asks to see them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from model.data import ImageDataset, open_dataset
from model.inference.classifier import Classifier
from model.inference.logits import predict_logits
from model.utils.errors import CifarnetError, DataError
from web.report import Results, split_of

MOST_PICTURES = 60  # shown for a cell
MOST_IMAGES = 5_000  # of a class that are classified to find them


@dataclass(frozen=True)
class TestPicture:
    """One test picture, and what the network names it."""

    __test__ = False  # a picture for testing, no test for pytest

    index: int
    pixels: np.ndarray  # uint8 (S, S, 3)
    named: int
    probability: float


class TestSet:
    """Finds the pictures that a cell of the confusion matrix counts.

    A class is classified when one of its cells is first asked for, and kept.

    Args:
        dataset: As given on the command line.
        results: Content of results.json, which says what data its numbers come from.
        classifier: Gives the network, asked for at first use.
    """

    __test__ = False

    def __init__(
        self, dataset: str, results: Results, classifier: Callable[[], Classifier]
    ) -> None:
        self._dataset, self._results, self._classifier = dataset, results, classifier
        self._lock = threading.Lock()
        self._source: ImageDataset | DataError | None = None
        self._classified: dict[int, list[TestPicture]] = {}

    def cell(self, true: int, predicted: int) -> list[TestPicture]:
        """Pictures of one class that got the name of one class, the most certain first.

        Raises:
            DataError: If the dataset cannot be reached, or is not the one of the numbers.
        """
        with self._lock:
            if true not in self._classified:
                self._classified[true] = self._classify(self._opened(), true)
            found = [one for one in self._classified[true] if one.named == predicted]
        return sorted(found, key=lambda one: -one.probability)[:MOST_PICTURES]

    def pictures(self, indices: list[int]) -> list[np.ndarray]:
        """Test pictures by their rows in the dataset, uint8 (S, S, 3) each.

        Raises:
            DataError: If the dataset cannot be reached, or is not the one of the numbers.
        """
        with self._lock:
            source = self._opened()
            images = source.splits["test"].load(torch.tensor(indices, dtype=torch.int64)).images
        return list(images.permute(0, 2, 3, 1).numpy())

    def _opened(self) -> ImageDataset:
        """The dataset; a reason against it is found once and then repeated."""
        if self._source is None:
            try:
                self._source = self._open()
            except CifarnetError as error:
                self._source = DataError(str(error))
        if isinstance(self._source, DataError):
            raise DataError(str(self._source))
        return self._source

    def _open(self) -> ImageDataset:
        source = open_dataset(self._dataset, image_size=self._classifier().image_size)
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

    def _classify(self, source: ImageDataset, true: int) -> list[TestPicture]:
        rows = (source.splits["test"].labels == true).nonzero().flatten()[:MOST_IMAGES]
        images = source.splits["test"].load(rows).images  # (n, 3, S, S)
        classifier = self._classifier()
        logits = predict_logits(classifier.network, images)
        shares, named = classifier.calibration.probabilities(logits).max(dim=1)  # (n,), (n,)
        pixels = images.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)
        found = zip(rows.tolist(), pixels, named.tolist(), shares.tolist(), strict=True)
        return [TestPicture(*one) for one in found]
