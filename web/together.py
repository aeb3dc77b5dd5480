"""Questions that come at the same time go through the network together, which is faster."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.crops import Picture
from model.inference.prediction import Prediction
from model.utils.images import Pixels


@dataclass
class _Ticket:
    """A question that waits for the network."""

    classifier: Classifier
    picture: Picture
    answer: Future[Prediction] = field(default_factory=Future)


class Together:
    """A thread asks the network, for all who wait at that moment.

    While it does, others read their pictures and queue up. Nobody waits for company: a question
    that comes alone is asked alone.
    """

    def __init__(self) -> None:
        self._network = ThreadPoolExecutor(1, "network")
        self._waiting: list[_Ticket] = []
        self._list = threading.Lock()

    def ask(self, classifier: Classifier, source: Pixels) -> Prediction:
        """What a classifier says about a picture.

        Args:
            classifier: Asked.
            source: See `model.utils.images.read_image`.

        Raises:
            ImageError: If the picture cannot be read.
            RuntimeError: If the network failed.
        """
        ticket = _Ticket(classifier, classifier.open(source))
        with self._list:
            self._network.submit(self._serve, classifier)  # it waits for the list, too
            self._waiting.append(ticket)
        try:
            return ticket.answer.result()
        except Exception as error:  # one that several askers share: each raises its own
            raise RuntimeError("The network could not answer.") from error

    def _serve(self, classifier: Classifier) -> None:
        """Answers everybody who waits for a classifier, some at a time."""
        with self._list:
            mine = [one for one in self._waiting if one.classifier is classifier]
            self._waiting = [one for one in self._waiting if one.classifier is not classifier]
        for start in range(0, len(mine), BATCH_SIZE):
            some = mine[start : start + BATCH_SIZE]
            try:
                found = classifier.predict([one.picture for one in some])
                for one, prediction in zip(some, found, strict=True):
                    one.answer.set_result(prediction)
            except Exception as error:  # whoever asked hears of it
                for one in some:
                    if not one.answer.done():
                        one.answer.set_exception(error)
