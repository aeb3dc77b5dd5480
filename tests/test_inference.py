"""A network made ready for inference answers as before, whatever the machine can do."""

from typing import Any

import pytest
import timm
import torch
from tiny_model import make_network
from torch import nn

from model.inference import optimize
from model.inference.optimize import optimize_for_inference

NAMES = timm.list_models("cifarnet_*")


def images(n: int, size: int) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("count", "size"), [(2, 32), (1, 32), (7, 24), (2, 33)])
def test_same_logits(name: str, count: int, size: int) -> None:
    network = make_network(name)
    with torch.inference_mode():
        expected = network(images(count, size))
        fast = optimize_for_inference(network)
        found = fast(images(count, size))
    if torch.backends.mkldnn.is_available():
        assert any(isinstance(layer, optimize.PackedConv) for layer in fast.modules())
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("lacking", ["oneDNN", "the operator"])
def test_builds_of_torch_without_packed_filters(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    network = make_network()
    fast = optimize_for_inference(network)
    assert not any(isinstance(layer, optimize.PackedConv) for layer in fast.modules())
    with torch.inference_mode():
        assert torch.allclose(fast(images(2, 32)), network(images(2, 32)), rtol=1e-4, atol=1e-4)


def test_a_packed_network_that_answers_otherwise_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optimize.PackedConv, "forward", lambda _, x: x.new_zeros(1))
    network = make_network()
    with torch.inference_mode():
        found = optimize_for_inference(network)(images(2, 32))
        assert torch.allclose(found, network(images(2, 32)), rtol=1e-4, atol=1e-4)


def test_pooling_does_not_commute_with_a_negative_scale() -> None:
    network = make_network()
    with torch.no_grad():
        network.stages[0].norms[0].weight.fill_(-0.5)
    with torch.inference_mode():
        found = optimize_for_inference(network)(images(2, 32))
        assert torch.allclose(found, network(images(2, 32)), rtol=1e-4, atol=1e-4)


def test_other_networks_and_those_in_training_stay_as_they_are() -> None:
    other = nn.Conv2d(3, 4, 1).eval()
    assert optimize_for_inference(other) is other
    training: Any = make_network().train()
    assert optimize_for_inference(training) is training


def test_the_network_that_was_given_keeps_its_norms_and_gradients() -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimize_for_inference(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.stages[0].convs[0].weight.requires_grad
