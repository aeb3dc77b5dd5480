"""What the training loop costs over bare forward, loss, backward and optimizer steps.

    python -m benchmarks.loop_overhead

All run the same network, optimizers and tensors, a few steps each, in turn, so that a busy machine
slows all alike. What a recipe adds (augmentation, the average of the weights) is measured apart.
Writes loop_overhead.json in benchmarks/results.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import timm
import torch
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from torch import Tensor

import model  # noqa: F401  (registers the networks)
from benchmarks._common import in_turn, options, write
from model import augment
from model.data import Loader
from model.optimizer import build_optimizers
from model.recipe import RECIPES, Recipe
from model.training import Trainer
from model.utils.device import resolve_mixed_precision

MEAN, STD = (0.5,) * 3, (0.25,) * 3


class SameBatch(Loader):
    """The same tensors again and again."""

    def __init__(self, images: Tensor, labels: Tensor, steps: int) -> None:
        self.images, self.labels, self.steps = images, labels, steps

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields the batch as often as an epoch has steps."""
        for _ in range(self.steps):
            yield self.images, self.labels, torch.arange(len(self.images))


def bare(recipe: Recipe, same: SameBatch, accelerator: Accelerator) -> Callable[[], float]:
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


def loop(recipe: Recipe, same: SameBatch, accelerator: Accelerator) -> Callable[[], float]:
    """The training loop; gives seconds a step."""
    network = timm.create_model(recipe.network)
    trainer = Trainer(network, recipe, same, mean=MEAN, std=STD, accelerator=accelerator)
    return lambda: trainer.train_epoch().seconds / same.steps


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, rounds=(8, "of each kind"), steps=(2, "a round"))
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
    images = torch.randint(0, 256, (recipe.batch_size, 3, 32, 32), dtype=torch.uint8).to(device)
    labels = torch.randint(0, 10, (recipe.batch_size,)).to(device)
    same = SameBatch(images, labels, args.steps)
    asked = {
        "bare steps": bare(recipe, same, accelerator),
        "training loop": loop(plain, same, accelerator),
        "with augmentation and averaging": loop(recipe, same, accelerator),
    }
    seconds = in_turn(asked, args.rounds)
    first, *others = (statistics.median(values) for values in seconds.values())
    overhead = {name: value / first - 1 for name, value in zip([*asked][1:], others, strict=True)}
    told = ", ".join(f"{name}: {share:+.1%}" for name, share in overhead.items())
    print(f"Against bare steps (medians): {told}")
    content = {"seconds_a_step": seconds, "overhead": overhead, "precision": precision}
    write(args, "loop_overhead", content, device=device)


if __name__ == "__main__":
    main()
