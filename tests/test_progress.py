"""The bar of a run counts work, so that small early images do not promise too little time."""

import dataclasses

import pytest
import torch

from model.progress import RunProgress
from model.recipe import Recipe
from model.training import StepReport
from model.utils import device
from model.utils.device import resolve_mixed_precision, use_all_cores

RECIPE = dataclasses.replace(Recipe(), epochs=2, resolution=((0.5, 0.5), (1.0, 1.0)))


def report(step: int) -> StepReport:
    return StepReport(step, 10, 1.5, 0.1, 1234.0)


def test_the_bar_counts_pixels(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RunProgress(RECIPE, 10, 32, 0, show=True)
    assert progress.bar.total == 10 * 16**2 + 10 * 32**2
    progress.update(report(4))
    assert progress.bar.n == 4 * 16**2
    progress.update(report(10))
    progress.update(report(5))
    assert progress.bar.n == 10 * 16**2 + 5 * 32**2
    progress.line("epoch 1/2")
    progress.bar.refresh()
    progress.close()
    shown = capsys.readouterr()
    assert "epoch 1/2" in shown.out
    for part in ("1,234 images/s", "loss 1.500", "lr 0.1", "left"):
        assert part in shown.err

    resumed = RunProgress(RECIPE, 10, 32, 1, show=True)
    assert resumed.bar.n == resumed.bar.initial == 10 * 16**2
    resumed.update(report(5))
    assert resumed.bar.n == 10 * 16**2 + 5 * 32**2
    resumed.close()


@pytest.mark.parametrize(
    ("told", "has_units", "expected"),
    [("", True, "bf16"), ("", False, "no"), ("bf16", False, "bf16")],  # told: accelerate launch
)
def test_automatic_precision_follows_the_processor(
    told: str, has_units: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
    monkeypatch.setattr(device, "has_bf16", lambda device: has_units)
    assert resolve_mixed_precision("auto", torch.device("cpu")) == expected
    for asked in ("fp16", "no"):
        assert resolve_mixed_precision(asked, torch.device("cpu")) == asked


@pytest.mark.parametrize(
    ("environment", "asked", "expected"),
    [
        ({}, None, 8),
        ({"OMP_NUM_THREADS": "1"}, None, 8),  # what accelerate launch sets by itself
        ({"OMP_NUM_THREADS": "3"}, None, 3),
        ({"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}, None, 4),
        ({"LOCAL_WORLD_SIZE": "64"}, None, 1),
        ({"OMP_NUM_THREADS": "3"}, 1, 1),
    ],
)
def test_threads(
    environment: dict[str, str],
    asked: int | None,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(device, "cores", lambda: 8)
    before = torch.get_num_threads()
    try:
        assert use_all_cores(asked) == expected == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
