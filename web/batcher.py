"""The one way from a picture to its prediction, for the tabs and the API alike.

A picture is decoded once, by `read` or `Classifier.open`; then it goes through the network with
those of other visitors who ask at the same moment, which is faster.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.crops import Picture
from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError
from web.journal import Entry
from web.models import MAX_PIXELS

READ_SIDE = 1024  # pixels that large JPEG files keep at least where the picture is shown
GROUP_BYTES = 32 * 2**20  # of files that are opened together: not all of many fit in memory


@dataclass(frozen=True)
class Answer:
    """What became of one of many pictures: it was opened and named, or there was a problem."""

    picture: Picture | None = None
    prediction: Prediction | None = None
    problem: CifarnetError | None = None


@dataclass
class _Ticket:
    """A question that waits for the network."""

    classifier: Classifier
    pictures: Sequence[Picture]
    answer: Future[list[Prediction]] = field(default_factory=Future)


def read(content: bytes) -> Picture:
    """Decodes a picture that is to be shown; `Classifier.open` is faster where it is not.

    Raises:
        ImageError: If it cannot be read.
    """
    return Picture.read(content, READ_SIDE, MAX_PIXELS)


class DynamicBatcher:
    """A thread that asks the network, for all who wait at that moment.

    While it does, others read their pictures and queue up. Nobody waits for company: a question
    that comes alone is asked alone.
    """

    def __init__(self) -> None:
        self._network = ThreadPoolExecutor(1, "network")
        self._waiting: list[_Ticket] = []
        self._list = threading.Lock()

    def predict(self, classifier: Classifier, pictures: Sequence[Picture]) -> list[Prediction]:
        """What a classifier says about pictures.

        Raises:
            RuntimeError: If the network failed.
        """
        ticket = _Ticket(classifier, pictures)
        with self._list:
            self._network.submit(self._serve, classifier)  # it waits for the list, too
            self._waiting.append(ticket)
        try:
            return ticket.answer.result()
        except Exception as error:  # one that several askers share: each raises its own
            raise RuntimeError("The network could not answer.") from error

    def predict_each(
        self, classifier: Classifier, contents: Iterable[bytes | CifarnetError], entry: Entry
    ) -> Iterator[Answer]:
        """Answers about many files in their order, some at a time.

        Args:
            classifier: Asked.
            contents: Files, and errors in the place of those that could not be had.
            entry: Where sizes, verdicts and errors are noted.
        """
        for group in _groups(contents):
            answers = [_opened(classifier, one) for one in group]
            entry.size += sum(len(one) for one in group if isinstance(one, bytes))
            pictures = [one.picture for one in answers if one.picture]
            found = self.predict(classifier, pictures) if pictures else []
            entry.answered(found)
            left = iter(found)
            for one in answers:
                if one.problem:
                    entry.failed(one.problem)
                yield Answer(one.picture, next(left)) if one.picture else one

    def _serve(self, classifier: Classifier) -> None:
        """Answers everybody who waits for a classifier, some at a time."""
        with self._list:
            mine = [one for one in self._waiting if one.classifier is classifier]
            self._waiting = [one for one in self._waiting if one.classifier is not classifier]
        while mine:
            some = [mine.pop(0)]
            pictures = list(some[0].pictures)
            while mine and len(pictures) + len(mine[0].pictures) <= BATCH_SIZE:
                some.append(mine.pop(0))
                pictures += some[-1].pictures
            try:
                found = iter(classifier.predict(pictures))
                for ticket in some:
                    ticket.answer.set_result([next(found) for _ in ticket.pictures])
            except Exception as error:  # whoever asked hears of it
                for ticket in some:
                    if not ticket.answer.done():
                        ticket.answer.set_exception(error)


def _opened(classifier: Classifier, content: bytes | CifarnetError) -> Answer:
    try:
        if isinstance(content, CifarnetError):
            raise content
        return Answer(classifier.open(content))
    except CifarnetError as error:
        return Answer(problem=error)


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
