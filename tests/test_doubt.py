"""Verdicts and their thresholds, and what config.json keeps of them."""

import copy
import json
import math
from typing import Any

import pytest
import torch

from model.inference import doubt
from model.inference.doubt import Doubt
from model.inference.scope import Scope
from model.utils.errors import ConfigError

SCOPE = Scope(mean=(0.0, 1.0), std=(1.0, 2.0), energy=(3.0, 1.0), distance=(0.0, 1.0), threshold=-2)


def test_verdicts() -> None:
    known = Doubt(confident=0.8, scope=SCOPE)
    assert known.verdict(0.8, -2.0) == "confident"
    assert known.verdict(0.79, -2.0) == "unsure"
    assert known.verdict(0.99, -2.01) == "none"
    assert Doubt(confident=0.8).verdict(0.9, -99.0) == "confident"


def test_probabilities_are_divided_by_the_temperature() -> None:
    found = Doubt(temperature=0.5).probabilities(torch.tensor([[math.log(2), 0.0]]))
    assert found[0].tolist() == pytest.approx([0.8, 0.2])  # 4 : 1


def test_without_a_scope_every_picture_scores_the_same() -> None:
    assert Doubt().scores(torch.randn(3, 2), torch.randn(3, 4)).tolist() == [0, 0, 0]


def test_confident_answers_are_right_as_often_as_promised() -> None:
    """An answer of probability p is right with probability p: of those above c, more than c."""
    generator = torch.Generator().manual_seed(0)
    p = 0.5 + torch.rand(20_000, generator=generator, dtype=torch.float64) / 2  # (N,)
    logits = torch.stack((p.log(), (1 - p).log()), dim=1)  # (N, 2)
    labels = (torch.rand(20_000, generator=generator) > p).long()
    fitted = doubt.fit(logits, torch.randn(20_000, 3, generator=generator), labels)
    assert fitted.temperature == pytest.approx(1, abs=0.03)
    # The mean of p over [c, 1] is (1 + c) / 2, which is 0.98 at c = 0.96.
    assert fitted.confident == pytest.approx(0.96, abs=0.015)


def test_round_trip_through_json() -> None:
    known = Doubt(temperature=0.4, confident=0.7, scope=SCOPE)
    assert doubt.from_dict(json.loads(json.dumps(known.to_dict())), "card") == known
    assert doubt.from_dict(Doubt().to_dict(), "card") == Doubt()
    assert doubt.from_dict(None, "card") == Doubt()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), []),
        ((), {"temperature": 1}),
        (("temperature",), 0),
        (("temperature",), "1"),
        (("temperature",), True),
        (("confident",), 1.5),
        (("confident",), math.nan),
        (("scope",), {}),
        (("scope", "mean"), [1.0]),
        (("scope", "mean"), "ab"),
        (("scope", "std"), [1.0, 0.0]),
        (("scope", "energy"), [1.0, 2.0, 3.0]),
        (("scope", "distance"), [1.0, -1.0]),
        (("scope", "threshold"), None),
    ],
)
def test_damaged_limits_are_refused(path: tuple[str, ...], value: object) -> None:
    content: Any = copy.deepcopy(Doubt(scope=SCOPE).to_dict())
    if path:
        target = content
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value
    else:
        content = value
    with pytest.raises(ConfigError, match=r"card: cifarnet\.doubt"):
        doubt.from_dict(content, "card")


def test_nothing_is_sure_where_even_the_surest_are_often_wrong() -> None:
    """All answers have the same margin, three in four are right: 98 % is out of reach."""
    logits = torch.tensor([[14.0, 0.0]]).repeat(200, 1)
    labels = torch.tensor([0, 0, 0, 1]).repeat(50)
    fitted = doubt.fit(logits, torch.randn(200, 3), labels)
    assert fitted.confident == 1.0
    assert fitted.verdict(0.999, 1e9) == "unsure"


def test_few_images_give_a_temperature_but_no_scope() -> None:
    logits = torch.tensor([[1.0, 0.0]] * 4)
    fitted = doubt.fit(logits, torch.zeros(4, 3), torch.tensor([0, 0, 0, 1]))
    assert fitted.temperature == pytest.approx(1 / math.log(2), abs=1e-5)
    assert fitted.scope is None
    assert fitted.verdict(0.6, -1e9) != "none"
