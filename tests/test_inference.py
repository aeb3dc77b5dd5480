"""A network made ready for inference answers as before, whatever the machine can do."""

from typing import Any

import pytest
import timm
import torch
from tiny_model import make_network
from torch import nn

from model.inference import optimize
from model.inference.optimize import optimize_for_inference
from model.utils.device import has_bf16

NAMES = timm.list_models("cifarnet_*")


def images(n: int, size: int) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(n))


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="needs a processor with bfloat16")
@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_answers_nearly_alike(name: str) -> None:
    network = make_network(name)
    x = images(40, 32)
    with torch.inference_mode():
        expected = network(x)
        found = optimize_for_inference(network)(x)
    assert found.dtype == torch.float32
    off = (found - expected).abs().max() / expected.abs().max()
    assert 1e-4 < off < 0.03  # at least: it was used


@pytest.mark.usefixtures("in_float32")
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


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("case", ["no oneDNN", "no operator", "wrong answers", "negative scale"])
def test_what_cannot_be_packed_or_folded_answers_as_before(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builds of torch that lack something, and pooling that does not commute with a scale."""
    network = make_network()
    if case == "no oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif case == "no operator":
        monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    elif case == "wrong answers":
        monkeypatch.setattr(optimize.PackedConv, "forward", lambda _, x: x.new_zeros(1))
    else:
        torch.nn.init.constant_(network.stages[0].norms[0].weight, -0.5)
    with torch.inference_mode():
        fast = optimize_for_inference(network)
        assert torch.allclose(fast(images(2, 32)), network(images(2, 32)), rtol=1e-4, atol=1e-4)
    packed = any(isinstance(layer, optimize.PackedConv) for layer in fast.modules())
    assert case == "negative scale" or not packed


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
