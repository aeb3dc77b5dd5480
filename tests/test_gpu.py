"""What only a GPU can show: recorded steps, half precision, answers, several processes."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from test_training import DISTORTED, RECIPE, Stripes, dark_stripes, finished, same

import model  # noqa: F401  (registers the networks)
from model import training
from model.hub import save_pretrained
from model.inference.classifier import Classifier
from model.recipe import Recipe
from model.training import Trainer
from model.utils.device import DevicePlan, repeat_bit_for_bit

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, when a GPU is first used

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def trainer(recipe: Recipe, **options: Any) -> Trainer:
    torch.manual_seed(recipe.seed)
    network: Any = timm.create_model(recipe.network, num_classes=2)
    AcceleratorState._reset_state(reset_partial_state=True)  # allows another precision
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision)
    stripes = Stripes()
    stripes.images, stripes.labels = stripes.images.cuda(), stripes.labels.cuda()
    kinds = dict(mean=(0.3,) * 3, std=(0.3,) * 3, accelerator=accelerator)
    return Trainer(network, recipe, stripes, **kinds, **options)


@pytest.mark.parametrize("precision", ["no", "fp16", "bf16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_it_learns_in_every_precision(precision: str, compiled: bool) -> None:
    run = trainer(dataclasses.replace(RECIPE, mixed_precision=precision), compiled=compiled)
    finished(run)
    stripes = Stripes()
    with torch.no_grad():
        logits = run.ema_or_model.eval()((stripes.images.cuda() / 255 - 0.3) / 0.3)
    assert (logits.argmax(1).cpu() == stripes.labels).float().mean() > 0.95


def test_recorded_steps_do_what_steps_do(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=6, mixed_precision="bf16", **DISTORTED)
    losses = {}
    for graphs in (False, True):
        plan = DevicePlan(True, graphs, 0.0)
        monkeypatch.setattr(training, "plan_for", lambda *_, plan=plan, **__: plan)
        run = trainer(recipe, outliers=dark_stripes(1).cuda())
        losses[graphs] = [run.train_epoch().loss for _ in range(recipe.epochs)]
    assert losses[True] == pytest.approx(losses[False], rel=0.05)
    assert losses[True][-1] < losses[True][0]


@pytest.fixture
def repeated() -> Iterator[None]:
    repeat_bit_for_bit()
    yield
    torch.use_deterministic_algorithms(False)


def test_the_same_seed_gives_the_same_bits_also_where_it_is_taken_up(repeated: None) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=4, mixed_precision="bf16", **DISTORTED)
    outliers = dark_stripes(1).cuda()
    first = finished(trainer(recipe, outliers=outliers))
    assert same(first, finished(trainer(recipe, outliers=outliers)))
    broken = trainer(recipe, outliers=outliers)
    for _ in range(2):
        broken.train_epoch()
    taken_up = trainer(recipe, outliers=outliers)
    taken_up.load_state(*broken.state())
    assert same(first, finished(taken_up))


def test_what_a_gpu_trained_answers_the_same_on_a_cpu(tmp_path: Path) -> None:
    run = trainer(RECIPE)
    finished(run)
    save_pretrained(run.ema_or_model, tmp_path, label_names=["across", "down"])
    images = Stripes().images[:10]
    here = Classifier.from_pretrained(tmp_path, device="cuda")
    there = Classifier.from_pretrained(tmp_path)
    assert torch.allclose(here.logits(images), there.logits(images), atol=1e-3)
    picture = images[0].permute(1, 2, 0).numpy().astype(np.uint8)
    assert here(picture).label == there(picture).label == "across"
