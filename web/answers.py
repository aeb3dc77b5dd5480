"""The one way from files to predictions, for the tabs and the API alike.

A picture is decoded once, by `read` or `Classifier.open`, while another one is in the network.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.crops import Picture
from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError
from web.journal import Entry
from web.models import MAX_PIXELS

READ_SIDE = 1024  # pixels that large JPEG files keep at least where the picture is shown
GROUP_BYTES = 32 * 2**20  # of files that are opened together: not all of many fit in memory

_network = threading.Lock()  # which uses all cores: whoever comes later waits


@dataclass(frozen=True)
class Answer:
    """What became of a file: it was opened and named, or there was a problem."""

    picture: Picture | None = None
    prediction: Prediction | None = None
    problem: CifarnetError | None = None


def read(content: bytes) -> Picture:
    """Decodes a picture that is to be shown; `Classifier.open` is faster where it is not.

    Raises:
        ImageError: If it cannot be read.
    """
    return Picture.read(content, READ_SIDE, MAX_PIXELS)


def predict(classifier: Classifier, pictures: Sequence[Picture]) -> list[Prediction]:
    """What a classifier says about decoded pictures."""
    with _network:
        return classifier.predict(pictures) if pictures else []


def answers(
    classifier: Classifier, contents: Iterable[bytes | CifarnetError], entry: Entry
) -> Iterator[Answer]:
    """Answers about files in their order, some at a time.

    Args:
        classifier: Asked.
        contents: Files, and errors in the place of those that could not be had.
        entry: Where sizes, verdicts and errors are noted.
    """
    for group in _groups(contents):
        opened = [_opened(classifier, one, entry) for one in group]
        found = predict(classifier, [one for one in opened if isinstance(one, Picture)])
        entry.answered(found)
        left = iter(found)
        for one in opened:
            yield Answer(one, next(left)) if isinstance(one, Picture) else Answer(problem=one)


def _opened(
    classifier: Classifier, content: bytes | CifarnetError, entry: Entry
) -> Picture | CifarnetError:
    try:
        if isinstance(content, CifarnetError):
            raise content
        entry.size += len(content)
        return classifier.open(content)
    except CifarnetError as error:
        entry.failed(error)
        return error


def _groups(contents: Iterable[bytes | CifarnetError]) -> Iterator[list[bytes | CifarnetError]]:
    """Files that fit in memory together."""
    group: list[bytes | CifarnetError] = []
    size = 0
    for content in contents:
        group.append(content)
        size += len(content) if isinstance(content, bytes) else 0
        if len(group) == BATCH_SIZE or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
