"""What the training loop costs over bare forward, loss, backward and optimizer steps.

    python benchmarks/loop_overhead.py

Both run the same network, optimizers and tensors, a few steps each, alternating, so that a busy
machine slows both alike. Writes benchmarks/results/loop_overhead.json and a plot.
"""

import argparse
import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator
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
from model import augment, files  # noqa: E402
from model.device import resolve_mixed_precision  # noqa: E402
from model.machine import machine, versions  # noqa: E402
from model.optimizer import build_optimizers  # noqa: E402
from model.recipe import RECIPES  # noqa: E402
from model.training import Trainer  # noqa: E402


class SameBatch:
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
    parser.add_argument("--steps", type=int, default=4, help="a round (default: %(default)s)")
    args = parser.parse_args()
    device = PartialState().device
    recipe = dataclasses.replace(
        RECIPES["default"],
        epochs=10**6,  # the rate stays at its start: no round differs from another
        accumulation=1,
        batch_size=500,
        stem_bias_epochs=0,
        average_decay=0.0,
        flip=False,
        translate=0,
        resolution=((1.0, 1.0),),
    )
    precision = resolve_mixed_precision(recipe.mixed_precision, device)
    accelerator = Accelerator(mixed_precision=precision)
    batch = torch.randint(0, 256, (recipe.batch_size, 3, 32, 32), dtype=torch.uint8).to(device)
    labels = torch.randint(0, 10, (recipe.batch_size,)).to(device)
    mean, std = (0.5,) * 3, (0.25,) * 3
    trainer = Trainer(
        timm.create_model(recipe.network),
        recipe,
        SameBatch(batch, labels, args.steps),
        mean=mean,
        std=std,
        accelerator=accelerator,
    )
    bare: Any = timm.create_model(recipe.network)
    bare.to(device, memory_format=torch.channels_last)
    bare.stem.conv.bias.requires_grad_(False)
    optimizers = build_optimizers(bare, recipe)
    pixels = augment.normalize(batch, mean, std)

    def run_bare() -> float:
        began = time.perf_counter()
        cast = accelerator.autocast if precision != "no" else contextlib.nullcontext
        for _ in range(args.steps):
            with cast():
                logits = bare(pixels)
            F.cross_entropy(
                logits.float(), labels, label_smoothing=recipe.label_smoothing
            ).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / args.steps

    def run_loop() -> float:
        return trainer.train_epoch().seconds / args.steps

    run_bare(), run_loop()  # warm-up
    rounds = [(run_bare(), run_loop()) for _ in range(args.rounds)]
    report([pair[0] for pair in rounds], [pair[1] for pair in rounds], precision, str(device))


def report(bare: list[float], loop: list[float], precision: str, device: str) -> None:
    """Writes JSON and a plot, prints the overhead."""
    overhead = statistics.median(loop) / statistics.median(bare) - 1
    result = {
        "seconds_a_step": {"bare": bare, "loop": loop},
        "overhead": overhead,
        "fastest_overhead": min(loop) / min(bare) - 1,
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
    axes.plot(bare, "o-", color="#8a8f98", label="bare steps")
    axes.plot(loop, "o-", color="#2b6cb0", label="training loop")
    axes.set(xlabel="round", ylabel="seconds a step", ylim=(0, None))
    axes.set_title(f"The loop costs {overhead:.1%} over bare steps (medians)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(target / "loop_overhead.png", dpi=150)
    print(f"overhead {overhead:.2%} (medians), {result['fastest_overhead']:.2%} (fastest rounds)")


if __name__ == "__main__":
    main()
