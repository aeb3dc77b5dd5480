"""Files become answers in their order, a few at a time; the network is asked by one at a time."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from tiny_model import NAMES, make_network

from model.inference.classifier import Classifier
from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError, ConfigError, ImageError
from web import answers
from web.journal import Entry

SHIP = (ROOT / "examples" / "ship.png").read_bytes()


class Watched(Classifier):
    """A classifier that notes how many pictures it is asked about, and by how many at once."""

    def __init__(self) -> None:
        super().__init__(make_network(), NAMES)
        self.sizes: list[int] = []
        self._asking = threading.Lock()

    def predict(self, pictures: Sequence[Any]) -> list[Prediction]:
        assert self._asking.acquire(blocking=False), "asked by two at once"
        try:
            self.sizes.append(len(pictures))
            return super().predict(pictures)
        finally:
            self._asking.release()


def test_each_of_many_who_ask_gets_its_own_answer() -> None:
    pictures = [np.full((40, 40, 3), 25 * i, np.uint8) for i in range(6)]
    classifier, alone = Watched(), Classifier(make_network(), NAMES)
    with ThreadPoolExecutor(6) as pool:
        opened = [classifier.open(picture) for picture in pictures]
        asked = [pool.submit(answers.predict, classifier, [one]) for one in opened * 5]
        found = [one.result()[0] for one in asked]
    assert classifier.sizes == [1] * 30
    for picture, answer in zip(pictures * 5, found, strict=True):
        assert answer == alone(picture)


def test_many_files_keep_their_order_and_go_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier, entry, gone = Watched(), Entry(), ConfigError("Gone.")
    monkeypatch.setattr(answers, "GROUP_BYTES", 2 * len(SHIP))
    contents: list[bytes | CifarnetError] = [SHIP, b"text", gone, SHIP, SHIP]
    found = list(answers.answers(classifier, contents, entry))
    assert [one.prediction is not None for one in found] == [True, False, False, True, True]
    assert isinstance(found[1].problem, ImageError)
    assert found[2].problem is gone
    assert classifier.sizes == [2, 1]  # after two files of that size the first go
    assert entry.size == 3 * len(SHIP) + 4
    assert entry.error == "ConfigError"
    assert entry.verdicts.total() == 3
