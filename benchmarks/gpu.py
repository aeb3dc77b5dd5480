"""Time to accuracy on a GPU: a recipe of ours against airbench94_muon, in turn, in one process.

    git clone https://github.com/KellerJordan/cifar10-airbench
    python -m benchmarks.gpu --dataset DIR_OR_ID --peer cifar10-airbench/airbench94_muon.py

Both have their images on the device before the clock starts, and have trained once before to
compile and record what they do; both report the accuracy over six views. The other program runs as
its authors wrote it. Without --peer ours runs alone. Writes gpu.json and gpu.png to
benchmarks/results. (That runs can be taken up there, and answer the same on a CPU, is tested.)
"""

import contextlib
import dataclasses
import importlib.util
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from matplotlib.figure import Figure

from benchmarks._common import CIFAR10, options, write
from benchmarks.speed import give_images, mean_and_spread, six_views
from model import augment
from model.build import build_trainer
from model.data import load_training_data, open_for_training
from model.evaluation import style
from model.recipe import RECIPES, DataOptions, Recipe
from model.training import Trainer
from model.utils.device import has_bf16

COLOURS = (style.BLUE, style.RUST)  # ours, the other program
Run = Callable[[int], tuple[float, float]]
"""Trains from a seed: seconds and accuracy over six views."""


def ours(recipe: Recipe, dataset: str, compiled: bool) -> Run:
    """A recipe of ours on all training images, ready to be timed."""
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision)
    device = accelerator.device
    recipe = dataclasses.replace(recipe, val_size=0)
    options = DataOptions(dataset)
    opened = open_for_training(options)
    data = load_training_data(opened, options, recipe, cache_limit=4, device=device)
    test = data.dataset.splits["test"].load(device=device)
    x = augment.normalize(test.images, data.mean, data.std)  # (N, 3, S, S)
    trainer = build_trainer(recipe, data, accelerator, compiled=compiled)

    def run(seed: int) -> tuple[float, float]:
        start_again(trainer, dataclasses.replace(recipe, seed=seed), data, accelerator)
        torch.cuda.synchronize()
        began = time.perf_counter()
        while trainer.epochs_done < recipe.epochs:
            trainer.train_epoch()
        # In half precision and on the clock, as the other program looks at its test images.
        network = trainer.ema_or_model.eval()
        with torch.no_grad(), accelerator.autocast():
            logits = torch.cat([six_views(network, part)[0] for part in x.split(2000)])  # (N, C)
        right = (logits.argmax(1) == test.labels).double().mean().item()  # waits for the GPU
        return time.perf_counter() - began, right

    return run


def start_again(trainer: Trainer, recipe: Recipe, data: Any, accelerator: Accelerator) -> None:
    """Gives a trainer new weights where the old ones lie, as what was recorded knows no others."""
    fresh, values = build_trainer(recipe, data, accelerator).state()
    for kept in (kept for one in trainer.optimizers for kept in one.state.values()):
        kept["momentum_buffer"].zero_()
    trainer.recipe, trainer.batches.seed = recipe, recipe.seed
    trainer.load_state(fresh, values)


@contextlib.contextmanager
def peer(program: Path, dataset: str, folder: Path) -> Iterator[Run]:
    """The other program, compiled, in a folder that holds the images as it wants them."""
    give_images(dataset, folder)
    spec = importlib.util.spec_from_file_location("airbench94_muon", program)
    if spec is None or spec.loader is None:
        sys.exit(f"{program} is no Python program; name airbench94_muon.py.")
    module: Any = importlib.util.module_from_spec(spec)
    here = Path.cwd()
    os.chdir(folder)
    try:
        spec.loader.exec_module(module)
        network = module.CifarNet().cuda().to(memory_format=torch.channels_last)
        network.compile(mode="max-autotune")
        with contextlib.redirect_stdout(io.StringIO()):
            module.main("warmup", network)

        def run(seed: int) -> tuple[float, float]:
            torch.manual_seed(seed)
            table = io.StringIO()  # it prints its seconds, and returns its accuracy
            with contextlib.redirect_stdout(table):
                accuracy = module.main(seed, network)
            seconds = float(re.findall(r"([\d.]+)\s*\|\s*$", table.getvalue(), re.MULTILINE)[-1])
            return seconds, float(accuracy)

        yield run
    finally:
        os.chdir(here)


def summary(runs: list[tuple[float, float]]) -> dict[str, Any]:
    """Means and spreads of runs."""
    rows = [{"seconds": seconds, "accuracy_tta": accuracy} for seconds, accuracy in runs]
    return {"runs": runs} | mean_and_spread(rows, "seconds", "accuracy_tta")


def draw(result: dict[str, Any]) -> Figure:
    """Accuracy over seconds: every run."""
    note = f"{result['gpu']}; CIFAR-10, six views of each test image; a dot is a run"
    figure = style.headed_figure(6.4, 4, "Time to accuracy, training on a GPU", note)
    axes = figure.subplots()
    for (name, found), colour in zip(result["programs"].items(), COLOURS, strict=False):
        seconds, accuracies = zip(*found["runs"], strict=True)
        axes.plot(seconds, [100 * a for a in accuracies], "o", color=colour, label=name)
    runs = [run for found in result["programs"].values() for run in found["runs"]]
    seconds, accuracies = zip(*runs, strict=True)
    # Half a point around: what seeds differ by is no landscape.
    axes.set_ylim(100 * min(accuracies) - 0.5, 100 * max(accuracies) + 0.5)
    axes.set_xlim(0, 1.2 * max(seconds))
    axes.set_xlabel("seconds of training and of the look at the test images")
    axes.set_ylabel("test accuracy, %")
    axes.legend(loc="lower left")
    return figure


def main() -> None:
    """Measures, prints, writes."""
    args = options(
        __doc__,
        dataset=CIFAR10,
        recipe=("default", "of ours", *RECIPES),
        seeds=(5, "runs of each, in turn"),
        peer=("", "airbench94_muon.py; without it ours alone"),
        no_compile=(False, "record our steps, but no more"),
    )
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here; benchmarks.speed measures training on a CPU.")
    precision = "bf16" if has_bf16(torch.device("cuda")) else "fp16"
    recipe = dataclasses.replace(RECIPES[args.recipe], mixed_precision=precision)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        programs: dict[str, Run] = {args.recipe: ours(recipe, args.dataset, not args.no_compile)}
        programs[args.recipe](0)  # compiles and records
        if args.peer:
            other = peer(Path(args.peer).resolve(), args.dataset, Path(name))
            programs["airbench94_muon"] = stack.enter_context(other)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for seed in range(args.seeds):
            for name, run in programs.items():
                runs[name].append(run(seed))
                print(f"{name:<16} {runs[name][-1][0]:7.3f} s  {runs[name][-1][1]:.2%}", flush=True)
    result = {
        "recipe": args.recipe,
        "compiled": not args.no_compile,
        "gpu": torch.cuda.get_device_name(),
        "programs": {name: summary(found) for name, found in runs.items()},
    }
    write(args, "gpu", result, lambda: draw(result), device="cuda")


if __name__ == "__main__":
    main()
