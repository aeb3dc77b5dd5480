"""Questions of several threads share the network, and each gets its own answer."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from tiny_model import NAMES, make_network

from model.inference.classifier import Classifier
from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError, ConfigError, ImageError
from web import batcher
from web.batcher import DynamicBatcher
from web.journal import Entry

PICTURES = [np.full((40, 40, 3), 25 * i, np.uint8) for i in range(6)]
SHIP = (ROOT / "examples" / "ship.png").read_bytes()


class Gated(Classifier):
    """A classifier whose first answer waits for a sign, and that counts."""

    def __init__(self) -> None:
        super().__init__(make_network(), NAMES)
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.failing = False

    def predict(self, pictures: Sequence[Any]) -> list[Prediction]:
        self.sizes.append(len(pictures))
        if len(self.sizes) == 1:
            self.go.wait(30)
        if self.failing:
            raise ZeroDivisionError
        return super().predict(pictures)


def ask(batcher: DynamicBatcher, classifier: Classifier, picture: Any) -> Prediction:
    return batcher.predict(classifier, [classifier.open(picture)])[0]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_waits_goes_together_and_gets_the_right_answer() -> None:
    classifier, together = Gated(), DynamicBatcher()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(ask, together, classifier, PICTURES[0])
        until(lambda: classifier.sizes == [1])
        rest = [pool.submit(ask, together, classifier, picture) for picture in PICTURES[1:]]
        until(lambda: len(together._waiting) == 5)
        classifier.go.set()
        found = [one.result() for one in (first, *rest)]
    assert classifier.sizes == [1, 5]
    alone = Classifier(make_network(), NAMES)
    for picture, answer in zip(PICTURES, found, strict=True):
        expected = alone(picture)
        assert answer.label == expected.label
        assert answer.probability == pytest.approx(expected.probability, abs=1e-5)


def test_an_error_reaches_everybody_and_the_next_question_is_answered() -> None:
    classifier, together = Gated(), DynamicBatcher()
    classifier.go.set()
    classifier.failing = True
    with pytest.raises(RuntimeError) as caught:
        ask(together, classifier, PICTURES[0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    classifier.failing = False
    assert ask(together, classifier, PICTURES[0]).label in NAMES
    assert classifier.sizes == [1, 1]


def test_models_do_not_mix() -> None:
    together, models = DynamicBatcher(), (Gated(), Gated())
    for one in models:
        one.go.set()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, together, models[i % 2], PICTURES[i % 6]) for i in range(40)]
        for answer in asked:
            assert answer.result().label in NAMES
    assert [sum(one.sizes) for one in models] == [20, 20]


def test_many_files_keep_their_order_and_go_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier, entry, gone = Gated(), Entry(), ConfigError("Gone.")
    classifier.go.set()
    monkeypatch.setattr(batcher, "GROUP_BYTES", 2 * len(SHIP))
    contents: list[bytes | CifarnetError] = [SHIP, b"text", gone, SHIP, SHIP]
    found = list(DynamicBatcher().predict_each(classifier, contents, entry))
    assert [one.prediction is not None for one in found] == [True, False, False, True, True]
    assert isinstance(found[1].problem, ImageError)
    assert found[2].problem is gone
    assert classifier.sizes == [2, 1]  # after two files of that size the first go
    assert entry.size == 3 * len(SHIP) + 4
    assert entry.error == "ConfigError"
    assert entry.verdicts.total() == 3
