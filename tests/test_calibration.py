"""Temperature, verdicts and their thresholds, and what config.json keeps of them."""

import math
from typing import Any

import pytest
import torch

from model.inference.calibration import Calibration, energy, fit_temperature
from model.utils.errors import ConfigError


def test_verdicts() -> None:
    known = Calibration(confident=0.8, known=-2.0)
    assert known.verdict(0.8, -2.0) == "confident"
    assert known.verdict(0.79, -2.0) == "unsure"
    assert known.verdict(0.99, -2.01) == "none"
    assert Calibration(confident=0.8).verdict(0.9, -99.0) == "confident"


def test_95_percent_of_known_pictures_are_kept_and_strange_ones_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 4, generator=generator) + torch.tensor([5.0, 0, 0, 0])
    fitted = Calibration.fit(logits, torch.zeros(1000, dtype=torch.int64))
    assert fitted.known is not None
    assert (energy(logits) >= fitted.known).double().mean() == pytest.approx(0.95, abs=0.002)
    assert energy(torch.zeros(1, 4)) < fitted.known


def test_confident_answers_are_right_as_often_as_promised() -> None:
    """An answer of probability p is right with probability p: of those above c, more than c."""
    generator = torch.Generator().manual_seed(0)
    p = 0.5 + torch.rand(20_000, generator=generator, dtype=torch.float64) / 2  # (N,)
    logits = torch.stack((p.log(), (1 - p).log()), dim=1)  # (N, 2)
    labels = (torch.rand(20_000, generator=generator) > p).long()
    fitted = Calibration.fit(logits, labels)
    assert fitted.temperature == pytest.approx(1, abs=0.03)
    # The mean of p over [c, 1] is (1 + c) / 2, which is 0.985 at c = 0.97.
    assert fitted.confident == pytest.approx(0.97, abs=0.015)


GOOD = Calibration(known=-2.0).to_dict()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"temperature": 1},
        GOOD | {"temperature": 0},
        GOOD | {"confident": math.nan},
        GOOD | {"known": "3"},
    ],
)
def test_a_damaged_card_is_refused(content: Any) -> None:
    with pytest.raises(ConfigError, match=r"card: cifarnet\.doubt"):
        Calibration.from_dict(content, "card")


def test_nothing_is_sure_where_even_the_surest_are_often_wrong() -> None:
    """All answers have the same margin, three in four are right: 98.5 % is out of reach."""
    logits = torch.tensor([[14.0, 0.0]]).repeat(200, 1)
    labels = torch.tensor([0, 0, 0, 1]).repeat(50)
    fitted = Calibration.fit(logits, labels)
    assert fitted.confident == 1.0
    assert fitted.verdict(0.999, 1e9) == "unsure"


def test_answers_to_distorted_images_count_too() -> None:
    """Clean images are named right at margins of 1 and 4; distorted, at 1 every other is not."""
    logits = torch.tensor([[1.0, 0.0], [4.0, 0.0]]).repeat(100, 1)
    labels = torch.zeros(200, dtype=torch.int64)
    distorted = logits.clone()
    distorted[::4] = torch.tensor([0.0, 1.0])
    clean = Calibration.fit(logits, labels)
    fitted = Calibration.fit(logits, labels, distorted)
    assert fitted.temperature == clean.temperature
    low, high = clean.probabilities(logits[:2])[:, 0].tolist()
    assert clean.confident == pytest.approx(low)
    assert fitted.confident == pytest.approx(high)


def test_of_few_images_a_sure_mistake_leaves_something_confident() -> None:
    """One of 40 is surely wrong, in each of 10 distortions; others are right, and less sure."""
    margins = torch.linspace(3, 9, 40)
    logits = torch.stack((margins, torch.zeros(40)), 1)  # (40, 2)
    labels = torch.zeros(40, dtype=torch.int64)
    labels[-1] = 1  # the surest of all
    fitted = Calibration.fit(logits, labels, logits.repeat(10, 1))
    stated = fitted.probabilities(logits).amax(1)
    sure = stated >= fitted.confident
    assert 0.1 < sure.double().mean() < 0.95
    assert stated[sure].mean() == pytest.approx(0.985, abs=0.005)
    # But not where a fifth of the surest are wrong, whatever they state.
    labels[-8:] = 1
    assert Calibration.fit(logits, labels, logits.repeat(10, 1)).confident == 1.0
    labels[-8:-1] = 0
    # Of many, what was seen counts: that it is no more than 39 in 40.
    many = Calibration.fit(logits.repeat(3, 1), labels.repeat(3), logits.repeat(30, 1))
    assert many.confident == 1.0


def test_of_few_images_a_fifth_with_their_distortions_lies_below_what_is_known() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(40, 3, generator=generator) + 5
    distorted = torch.rand(400, 3, generator=generator) + 4
    fitted = Calibration.fit(clean, torch.zeros(40, dtype=torch.int64), distorted)
    assert fitted.known is not None
    below = energy(torch.cat((clean, distorted))) < fitted.known
    assert below.double().mean() == pytest.approx(0.2, abs=0.005)


def test_few_images_give_a_temperature_but_no_none() -> None:
    logits = torch.tensor([[1.0, 0.0]] * 4)
    fitted = Calibration.fit(logits, torch.tensor([0, 0, 0, 1]))
    assert fitted.temperature == pytest.approx(1 / math.log(2), abs=1e-5)
    assert fitted.known is None
    assert fitted.verdict(0.6, -1e9) != "none"


def test_a_known_temperature_is_found() -> None:
    """Labels drawn from softmax(z) are calibrated at 1; logits of 3 z need 3."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 5, generator=generator, dtype=torch.float64) * 2
    labels = torch.multinomial(z.softmax(dim=1), 1, generator=generator).flatten()
    assert fit_temperature(z, labels) == pytest.approx(1, abs=0.03)
    assert fit_temperature(3 * z, labels) == pytest.approx(3, abs=0.09)


def test_a_perfect_network_is_not_certain() -> None:
    """Eight right of eight count as 9/10: sigmoid(2 / t) = 9/10 at t = 2 / log 9."""
    logits = torch.tensor([[2.0, 0.0]] * 8)
    labels = torch.zeros(8, dtype=torch.int64)
    assert fit_temperature(logits, labels) == pytest.approx(2 / math.log(9), abs=1e-5)
    assert fit_temperature(logits, 1 - labels) == 100  # always wrong: even answers
