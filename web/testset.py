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

Progress = Callable[[float], object]


@dataclass(frozen=True)
class TestPicture:
    """One test picture and the probability of the name that it got."""

    __test__ = False  # a picture for testing, no test for pytest

    index: int
    pixels: np.ndarray  # uint8 (S, S, 3)
    probability: float


@dataclass(frozen=True)
class _Answers:
    """What the network says to the test pictures of one class, in the dataset's order."""

    images: np.ndarray  # uint8 (n, S, S, 3)
    indices: np.ndarray  # int64 (n,)
    named: np.ndarray  # int64 (n,)
    probability: np.ndarray  # float (n,)


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
        self._source: ImageDataset | None = None
        self._refusal: str | None = None
        self._answers: dict[int, _Answers] = {}

    def cell(
        self, true: int, predicted: int, progress: Progress | None = None
    ) -> list[TestPicture]:
        """Pictures of one class that got the name of one class, the most certain first.

        Raises:
            DataError: If the dataset cannot be reached, or is not the one of the numbers.
        """
        with self._lock:
            if true not in self._answers:
                self._answers[true] = self._classify(self._opened(), true, progress)
            answers = self._answers[true]
        rows = np.flatnonzero(answers.named == predicted)
        rows = rows[np.argsort(-answers.probability[rows], kind="stable")][:MOST_PICTURES]
        return [
            TestPicture(int(answers.indices[i]), answers.images[i], float(answers.probability[i]))
            for i in rows
        ]

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
        if self._refusal:
            raise DataError(self._refusal)
        if self._source is None:
            try:
                self._source = self._open()
            except CifarnetError as error:
                self._refusal = str(error)
                raise
        return self._source

    def _open(self) -> ImageDataset:
        size = self._classifier().image_size
        source = open_dataset(self._dataset, image_size=size)
        expected = self._results["dataset"]
        split = split_of(self._results)
        same = list(source.label_names) == expected["label_names"]
        if (
            split != "test"
            or not same
            or source.splits["test"].fingerprint != expected["fingerprint"]["test"]
        ):
            raise DataError(
                "The pictures of --dataset are not those that the numbers come from, so only the "
                "numbers are shown."
            )
        return source

    def _classify(self, source: ImageDataset, true: int, progress: Progress | None) -> _Answers:
        labels = source.splits["test"].labels
        rows = (labels == true).nonzero().flatten()[:MOST_IMAGES]
        split = source.splits["test"].load(rows)
        classifier = self._classifier()
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done / len(rows))

        logits = predict_logits(classifier.network, split.images, report)
        named = logits.argmax(dim=1)  # (n,)
        probability = classifier.calibration.probabilities(logits).amax(dim=1)  # (n,)
        images = split.images.permute(0, 2, 3, 1).numpy()
        return _Answers(images, rows.numpy(), named.numpy(), probability.numpy())
