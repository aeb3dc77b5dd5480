"""Questions of several threads share the network, and each gets its own answer."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tiny_model import NAMES, make_network

from model.inference.classifier import Classifier
from model.inference.prediction import Prediction
from model.utils.errors import ImageError
from web.together import Together

PICTURES = [np.full((40, 40, 3), 25 * i, np.uint8) for i in range(6)]


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


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_waits_goes_together_and_gets_the_right_answer() -> None:
    classifier, together = Gated(), Together()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(together.ask, classifier, PICTURES[0])
        until(lambda: classifier.sizes == [1])
        rest = [pool.submit(together.ask, classifier, picture) for picture in PICTURES[1:]]
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
    classifier, together = Gated(), Together()
    classifier.go.set()
    classifier.failing = True
    with pytest.raises(RuntimeError) as caught:
        together.ask(classifier, PICTURES[0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ImageError):
        together.ask(classifier, b"no picture")
    classifier.failing = False
    assert together.ask(classifier, PICTURES[0]).label in NAMES
    assert classifier.sizes == [1, 1]


def test_models_do_not_mix() -> None:
    together, models = Together(), (Gated(), Gated())
    for one in models:
        one.go.set()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(together.ask, models[i % 2], PICTURES[i % 6]) for i in range(40)]
        for answer in asked:
            assert answer.result().label in NAMES
    assert [sum(one.sizes) for one in models] == [20, 20]
