"""Temperature scaling, against temperatures that are known by construction."""

import math

import pytest
import torch

from model.calibration import fit_temperature


def test_a_known_temperature_is_found() -> None:
    """Labels drawn from softmax(z) are calibrated at 1; logits of 3 z need 3."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 5, generator=generator, dtype=torch.float64) * 2
    labels = torch.multinomial(z.softmax(dim=1), 1, generator=generator).flatten()
    assert fit_temperature(z, labels) == pytest.approx(1, abs=0.03)
    assert fit_temperature(3 * z, labels) == pytest.approx(3, abs=0.09)


def test_two_images_by_hand() -> None:
    """Three right of four with a margin of 1: sigmoid(1 / t) = 3/4 means t = 1 / log 3."""
    logits = torch.tensor([[1.0, 0.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(1 / math.log(3), rel=1e-3)


@pytest.mark.parametrize(("right", "limit"), [(True, 0.01), (False, 100.0)])
def test_it_stays_within_limits(right: bool, limit: float) -> None:
    logits = torch.tensor([[2.0, 0.0]] * 3)
    labels = torch.zeros(3, dtype=torch.int64) if right else torch.ones(3, dtype=torch.int64)
    found = fit_temperature(logits, labels)
    assert 0.01 <= found <= 100
    assert abs(math.log(found / limit)) < 3


def test_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
