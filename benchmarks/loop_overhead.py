"""What the training loop costs over bare forward, loss, backward and optimizer steps.

    python benchmarks/loop_overhead.py

All run the same network, optimizers and tensors, a few steps each, alternating, so that a busy
machine slows all alike. What a recipe adds (augmentation, the average of the weights) is measured
apart. Writes benchmarks/results/loop_overhead.json and a plot.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from matplotlib.figure import Figure
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import model  # noqa: E402, F401  (registers the networks)
from model import augment  # noqa: E402
from model.data import Loader  # noqa: E402
from model.optimizer import build_optimizers  # noqa: E402
from model.recipe import RECIPES, Recipe  # noqa: E402
from model.training import Trainer  # noqa: E402
from model.utils import files  # noqa: E402
from model.utils.device import resolve_mixed_precision  # noqa: E402
from model.utils.machine import machine, versions  # noqa: E402

MEAN, STD = (0.5,) * 3, (0.25,) * 3
COLOURS = ("#8a8f98", "#2b6cb0", "#c05621")


class SameBatch(Loader):
    """The same tensors again and again."""

    def __init__(self, images: Tensor, labels: Tensor, steps: int) -> None:
        self.images, self.labels, self.steps = images, labels, steps

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields the batch as often as an epoch has steps."""
        for _ in range(self.steps):
            yield self.images, self.labels, torch.arange(len(self.images))


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, help="of each kind (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="a round (default: %(default)s)")
    args = parser.parse_args()
    device = PartialState().device
    recipe = dataclasses.replace(
        RECIPES["default"],
        epochs=10**6,  # the rate stays at its start: no round differs from another
        stem_bias_epochs=0,
        resolution=((1.0, 1.0),),
    )
    plain = dataclasses.replace(recipe, ema_decay=0.0, flip=False, translate=0)
    precision = resolve_mixed_precision(recipe.mixed_precision, device)
    accelerator = Accelerator(mixed_precision=precision)
    batch = torch.randint(0, 256, (recipe.batch_size, 3, 32, 32), dtype=torch.uint8).to(device)
    labels = torch.randint(0, 10, (recipe.batch_size,)).to(device)
    same = SameBatch(batch, labels, args.steps)
    series: dict[str, Callable[[], float]] = {"bare steps": _bare(recipe, same, accelerator)}
    for name, asked in (("training loop", plain), ("with augmentation and averaging", recipe)):
        trainer = Trainer(
            timm.create_model(recipe.network),
            asked,
            same,
            mean=MEAN,
            std=STD,
            accelerator=accelerator,
        )
        series[name] = partial(_loop, trainer)
    for run in series.values():
        run()  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in series}
    for _ in range(args.rounds):
        for name, run in series.items():
            seconds[name].append(run())
    report(seconds, precision, str(device))


def _loop(trainer: Trainer) -> float:
    """Seconds a step of the training loop."""
    return trainer.train_epoch().seconds / trainer.batches.steps


def _bare(recipe: Recipe, same: SameBatch, accelerator: Accelerator) -> Callable[[], float]:
    """Forward, loss, backward and optimizer steps on the same tensors; gives seconds a step."""
    network: Any = timm.create_model(recipe.network)
    network.to(accelerator.device, memory_format=torch.channels_last)
    network.stem.conv.bias.requires_grad_(False)
    optimizers = build_optimizers(network, recipe)
    parts = recipe.gradient_accumulation_steps
    pixels = augment.normalize(same.images, MEAN, STD).tensor_split(parts)
    labels = same.labels.tensor_split(parts)

    def run() -> float:
        began = time.perf_counter()
        for _ in range(same.steps):
            for x, y in zip(pixels, labels, strict=True):
                with accelerator.autocast():
                    logits = network(x)
                smoothing = recipe.label_smoothing
                loss = F.cross_entropy(logits.float(), y, label_smoothing=smoothing)
                (loss / parts).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / same.steps

    return run


def report(seconds: dict[str, list[float]], precision: str, device: str) -> None:
    """Writes JSON and a plot, prints the overhead."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    bare = medians["bare steps"]
    overhead = {name: value / bare - 1 for name, value in medians.items() if value != bare}
    result = {
        "seconds_a_step": seconds,
        "overhead": overhead,
        "precision": precision,
        "machine": machine(device),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    target = ROOT / "benchmarks" / "results"
    target.mkdir(exist_ok=True)
    files.write_json(target / "loop_overhead.json", result)
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour in zip(seconds.items(), COLOURS, strict=True):
        axes.plot(values, "o-", color=colour, label=name)
    axes.set(xlabel="round", ylabel="seconds a step", ylim=(0, None))
    share = overhead["training loop"]
    axes.set_title(f"Training loop against bare steps: {share:+.1%} (medians)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(target / "loop_overhead.png", dpi=150)
    for name, share in overhead.items():
        print(f"{name}: {share:+.2%} against bare steps (medians)")


if __name__ == "__main__":
    main()
