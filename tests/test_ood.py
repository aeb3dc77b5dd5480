"""The out-of-distribution score, against values worked out by hand."""

import math
from typing import Any

import pytest
import timm
import torch

import model  # noqa: F401  (registers the networks)
from model.inference import ood
from model.inference.ood import OODDetector


def test_energy() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    assert ood.energy(logits).tolist() == pytest.approx([math.log(2), math.log(4)])


def test_distance_counts_standard_deviations() -> None:
    features = torch.tensor([[1.0, 10.0], [3.0, 10.0], [1.0, 40.0]])
    found = ood.distance(features, torch.tensor([1.0, 10.0]), torch.tensor([2.0, 10.0]))
    assert found.tolist() == pytest.approx([0, 0.5, 4.5])


def test_score_is_the_sum_of_two_standardised_parts() -> None:
    known = OODDetector(
        mean=(0.0,), std=(1.0,), energy=(1.0, 2.0), distance=(0.5, 4.0), threshold=0.0
    )
    logits, features = torch.tensor([[5.0]]), torch.tensor([[3.0]])
    expected = (5 - 1) / 2 - (math.log(9) - 0.5) / 4
    assert known(logits, features).item() == pytest.approx(expected)


def test_the_threshold_keeps_95_percent_and_strange_pictures_score_low() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 4, generator=generator) + torch.tensor([5.0, 0, 0, 0])
    features = torch.randn(1000, 8, generator=generator)
    known = OODDetector.fit(logits, features)
    kept = (known(logits, features) >= known.threshold).double().mean().item()
    assert kept == pytest.approx(0.95, abs=0.002)
    flat = torch.zeros(10, 4)
    assert (known(flat, features[:10]) < known(logits[:10], features[:10])).all()
    assert (known(logits[:10], features[:10] + 9) < known.threshold).all()


def test_few_pictures_are_too_few() -> None:
    with pytest.raises(ValueError, match="needs 100 images; there are 99"):
        OODDetector.fit(torch.zeros(99, 2), torch.zeros(99, 3))


def test_fresh_known_pictures_are_kept_though_few_were_seen() -> None:
    """Of 95 % promised; the smallest number of images allows for a few less."""
    generator = torch.Generator().manual_seed(0)
    logits, features = torch.randn(5100, 4, generator=generator), torch.randn(5100, 16)
    known = OODDetector.fit(logits[:100], features[:100])
    kept = (known(logits[100:], features[100:]) >= known.threshold).double().mean()
    assert kept > 0.85


def test_logits_and_features_averages_over_the_mirror_image() -> None:
    torch.manual_seed(0)
    network: Any = timm.create_model("cifarnet_nano", widths=(8, 8, 16)).eval()
    x = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        logits, features = ood.logits_and_features(network, x)
        expected = (network(x) + network(x.flip(-1))) / 2
        first, flipped = (
            network.forward_intermediates(one, intermediates_only=True)[0].mean(dim=(2, 3))
            for one in (x, x.flip(-1))
        )
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(features, (first + flipped) / 2)
    mirrored = ood.logits_and_features(network, x.flip(-1))
    torch.testing.assert_close(mirrored[0], logits)
    torch.testing.assert_close(mirrored[1], features)
