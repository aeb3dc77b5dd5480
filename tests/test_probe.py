"""The classifier of a frozen network."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from test_training import RECIPE, dark_stripes, trainer
from torch import Tensor

from model.checkpoint import load_checkpoint, save_checkpoint
from model.probe import DECAY, LinearProbe

FROZEN = dataclasses.replace(RECIPE, freeze=True, epochs=2)


def probe(outliers: Tensor | None = None) -> Any:
    return trainer(FROZEN, outliers, kind=LinearProbe)


def weight(run: Any) -> Tensor:
    kept: Tensor = run.network.get_classifier().weight.detach().clone()
    return kept


def test_each_epoch_ends_near_the_solution_and_the_mean_is_kept() -> None:
    run = probe(dark_stripes(1))
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    solutions = []
    seen: list[Any] = []
    solve = run._solve

    def keep() -> float:
        seen[:] = run.seen
        return solve()

    run._solve = keep
    losses = []
    for _ in range(FROZEN.epochs):
        losses.append(run.train_epoch().loss)
        solutions.append(weight(run))
    assert max(losses) < 0.6  # log 2 is that of a guess
    features, targets, weights = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert len(features) == 64 + 4 * 4  # a quarter as many outliers in each of four steps

    def slope(at: Tensor) -> float:
        at.requires_grad_(True)
        losses = F.cross_entropy(features @ at.T, targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum() + DECAY * at.square().sum()
        return torch.autograd.grad(loss, at)[0].norm().item()

    start = before.pop("head.fc.weight")
    assert slope(solutions[1].clone()) < 0.01 * slope(start)
    mean = torch.stack(solutions).mean(0)
    torch.testing.assert_close(run.ema_or_model.get_classifier().weight, mean)
    after = run.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_resuming_gives_the_same_classifier(tmp_path: Path) -> None:
    whole, first, second = probe(), probe(), probe()
    whole.train_epoch()
    whole.train_epoch()
    first.train_epoch()
    save_checkpoint(tmp_path, *first.state())
    second.load_state(*load_checkpoint(tmp_path))
    second.train_epoch()
    kept = [run.ema_or_model.get_classifier().weight for run in (whole, second)]
    assert torch.equal(*kept)
