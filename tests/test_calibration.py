"""Temperature scaling, against temperatures that are known by construction."""

import math

import pytest
import torch

from model.inference.calibration import fit_temperature


def test_a_known_temperature_is_found() -> None:
    """Labels drawn from softmax(z) are calibrated at 1; logits of 3 z need 3."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 5, generator=generator, dtype=torch.float64) * 2
    labels = torch.multinomial(z.softmax(dim=1), 1, generator=generator).flatten()
    assert fit_temperature(z, labels) == pytest.approx(1, abs=0.03)
    assert fit_temperature(3 * z, labels) == pytest.approx(3, abs=0.09)


def test_four_images_by_hand() -> None:
    """Three right of four count as 4/6; with a margin of 1, sigmoid(1 / t) = 2/3 at 1 / log 2."""
    logits = torch.tensor([[1.0, 0.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(1 / math.log(2), abs=1e-5)


def test_a_perfect_network_is_not_certain() -> None:
    """Eight right of eight count as 9/10: sigmoid(2 / t) = 9/10 at t = 2 / log 9."""
    logits = torch.tensor([[2.0, 0.0]] * 8)
    labels = torch.zeros(8, dtype=torch.int64)
    assert fit_temperature(logits, labels) == pytest.approx(2 / math.log(9), abs=1e-5)


def test_a_network_that_is_always_wrong_gets_even_answers() -> None:
    logits = torch.tensor([[2.0, 0.0]] * 3)
    assert fit_temperature(logits, torch.ones(3, dtype=torch.int64)) == 100


def test_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
