"""Muon, SGD and the schedule against values worked out on paper or by another method."""

import dataclasses
from typing import Any

import pytest
import timm
import torch
from torch import nn

import model  # noqa: F401  (registers the networks)
from model import optimizer
from model.optimizer import Muon, build_optimizers, linear_warmup_decay, orthogonal
from model.recipe import Recipe


@pytest.mark.parametrize("steps", [3, 5])
def test_orthogonal_keeps_directions_and_levels_singular_values(steps: int) -> None:
    gradient = torch.randn(16, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    u, before, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    # In the gradient's own singular directions the result is diagonal: nothing is rotated.
    core = u.T @ orthogonal(gradient, steps).flatten(1) @ v.T
    assert (core - core.diag().diag()).abs().max() < 1e-3
    after = core.diag()
    assert after.max() < 1.3
    assert after.min() / after.max() > 2 * before.min() / before.max()
    assert steps < 5 or after.min() > 0.6


def test_muon_moves_against_the_gradient_from_fixed_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "has_bf16", lambda device: False)  # exact on any machine
    weight = nn.Parameter(torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0)) * 7)
    before = weight.detach().clone() * (8**0.5 / weight.detach().norm())
    gradient = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    weight.grad = gradient.clone()
    Muon([weight], lr=0.1, momentum=0.9, steps=5).step()
    moved = (weight.detach() - before) / -0.1
    # A first Nesterov step goes along the gradient itself, (1 + momentum) times it.
    assert torch.allclose(moved, orthogonal(gradient, 5), atol=1e-4)


def test_muon_averages_gradients_over_steps() -> None:
    weight = nn.Parameter(torch.ones(4, 4, 1, 1))
    muon = Muon([weight], lr=0.0, momentum=0.5, steps=1)
    for value in (1.0, 2.0, 4.0):
        weight.grad = torch.full_like(weight, value)
        muon.step()
    assert muon.state[weight]["momentum_buffer"].unique().item() == 4 + 0.5 * (2 + 0.5 * 1)


def test_every_trained_parameter_is_in_one_group_and_frozen_ones_in_none() -> None:
    network: Any = timm.create_model("cifarnet_nano")
    muon, sgd = build_optimizers(network, Recipe())
    grouped = [p for opt in (muon, sgd) for group in opt.param_groups for p in group["params"]]
    trained = [p for p in network.parameters() if p.requires_grad]
    assert {id(p) for p in grouped} == {id(p) for p in trained}
    assert len(grouped) == len(trained)
    assert all(p.ndim == 4 for group in muon.param_groups for p in group["params"])
    assert sgd.param_groups[1]["params"] == [network.head.fc.weight]


def test_rates_of_sgd_are_for_a_thousand_images() -> None:
    network: Any = timm.create_model("cifarnet_nano")
    recipe = dataclasses.replace(Recipe(), bias_learning_rate=50.0, head_learning_rate=0.02)
    muon, sgd = build_optimizers(network, dataclasses.replace(recipe, batch_size=1000))
    assert [group["lr"] for group in sgd.param_groups] == [50.0, 0.02]
    small, fifth = build_optimizers(network, dataclasses.replace(recipe, batch_size=200))
    assert [group["lr"] for group in fifth.param_groups] == pytest.approx([10.0, 0.004])
    assert small.param_groups[0]["lr"] == muon.param_groups[0]["lr"] == recipe.learning_rate


@pytest.mark.parametrize(("batch", "left"), [(1000, 0.99), (500, 0.995)])
def test_weight_decay_takes_the_recipes_share(batch: int, left: float) -> None:
    network: Any = timm.create_model("cifarnet_nano")
    recipe = dataclasses.replace(Recipe(), weight_decay=0.01, sgd_momentum=0.0, batch_size=batch)
    _, sgd = build_optimizers(network, recipe)
    for param in network.parameters():
        param.grad = torch.zeros_like(param)
    before = network.head.fc.weight.detach().clone()
    sgd.step()
    assert torch.allclose(network.head.fc.weight, before * left, rtol=1e-5)


def test_triangle_climbs_then_falls_to_zero() -> None:
    rates = [linear_warmup_decay(step, 9, warmup=0.2) for step in range(9)]
    assert rates == pytest.approx([0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert linear_warmup_decay(0, 9, warmup=0.0) == pytest.approx(0.9)
