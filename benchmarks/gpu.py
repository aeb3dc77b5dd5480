"""Time to accuracy on a GPU: a recipe of ours against airbench94_muon, in turn, in one process.

    git clone https://github.com/KellerJordan/cifar10-airbench
    python -m benchmarks.gpu --dataset DIR_OR_ID --peer cifar10-airbench/airbench94_muon.py

Both have their images on the device before the clock starts, and have trained once before to
compile and record what they do; both report the accuracy over six views. The other program runs as
its authors wrote it. Without --peer ours runs alone. Then a run on generated pictures is taken
up half-way and saved, and its logits on the GPU are compared with those on the CPU. Writes gpu.json
and gpu.png to benchmarks/results.
"""

import argparse
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

import matplotlib
import torch
from accelerate import Accelerator
from matplotlib.figure import Figure

from benchmarks._common import ROOT
from benchmarks.speed import give_images, mean_and_spread
from model.data import load_training_data
from model.evaluation import style
from model.hub import from_pretrained, save_pretrained
from model.inference.logits import predict, predict_logits, six_views
from model.recipe import RECIPES, DataOptions, Recipe
from model.training import Trainer, build_trainer
from model.utils import files
from model.utils.device import has_bf16
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "gpu"
Run = Callable[[int], tuple[float, float]]
"""Trains from a seed: seconds and accuracy over six views."""


def ours(recipe: Recipe, dataset: str, compiled: bool) -> Run:
    """A recipe of ours on all training images, ready to be timed."""
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision)
    device = accelerator.device
    recipe = dataclasses.replace(recipe, val_size=0)
    data = load_training_data(DataOptions(dataset), recipe, cache_limit=4, device=device)
    test = data.dataset.splits["test"].load()
    trainer = build_trainer(recipe, data, accelerator, compiled=compiled)

    def run(seed: int) -> tuple[float, float]:
        start_again(trainer, dataclasses.replace(recipe, seed=seed), data, accelerator)
        torch.cuda.synchronize()
        began = time.perf_counter()
        while trainer.epochs_done < recipe.epochs:
            trainer.train_epoch()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        logits = predict(trainer.ema_or_model, test.images, six_views)[2]  # (N, C)
        return seconds, (logits.argmax(1) == test.labels).double().mean().item()

    return run


def start_again(trainer: Trainer, recipe: Recipe, data: Any, accelerator: Accelerator) -> None:
    """Gives a trainer new weights where the old ones lie, as what was recorded knows no others."""
    fresh, _ = build_trainer(recipe, data, accelerator).state()
    zeros = {f"momentum.{name}": torch.zeros_like(param) for name, _, param in trainer._trained()}
    trainer.recipe, trainer.batches.seed = recipe, recipe.seed
    trainer.load_state(fresh | zeros, {"epochs_done": 0, "scaler": None})


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


def check(folder: Path, precision: str) -> dict[str, float]:
    """A short run on generated pictures: taken up half-way, saved, and loaded on the CPU."""
    accelerator = Accelerator(mixed_precision=precision)
    recipe = dataclasses.replace(RECIPES["tiny"], epochs=4, seed=0)
    data = load_training_data(
        DataOptions("synthetic"), recipe, cache_limit=4, device=accelerator.device
    )
    whole, first, second = (build_trainer(recipe, data, accelerator) for _ in range(3))
    losses = [whole.train_epoch().loss for _ in range(4)]
    for _ in range(2):
        first.train_epoch()
    second.load_state(*first.state())
    resumed = [second.train_epoch().loss for _ in range(2)]
    save_pretrained(whole.ema_or_model, folder, label_names=list(data.dataset.label_names))
    images = data.sample[:256]
    there = predict_logits(whole.ema_or_model, images)
    here = predict_logits(from_pretrained(folder), images.cpu())
    return {
        "largest_loss_difference_resumed": max(
            abs(a - b) for a, b in zip(losses[2:], resumed, strict=True)
        ),
        "largest_logit_difference_cpu": float((there - here).abs().max()),
    }


def summary(runs: list[tuple[float, float]]) -> dict[str, Any]:
    """Means and spreads of runs."""
    seconds, accuracies = zip(*runs, strict=True)
    return {
        "runs": [list(run) for run in runs],
        **mean_and_spread("seconds", seconds),
        **mean_and_spread("accuracy_tta", accuracies),
    }


def plot(result: dict[str, Any]) -> Figure:
    """Accuracy over seconds: every run."""
    note = f"{result['gpu']}; CIFAR-10, six views of each test image; a dot is a run"
    figure = style.headed_figure(6.4, 4, "Time to accuracy, training on a GPU", note)
    axes = figure.subplots()
    for name, colour in ((result["recipe"], style.BLUE), ("airbench94_muon", style.RUST)):
        if found := result["programs"].get(name):
            seconds, accuracies = zip(*found["runs"], strict=True)
            axes.plot(seconds, [100 * a for a in accuracies], "o", color=colour, label=name)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("test accuracy, %")
    axes.legend(loc="lower right")
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="default: %(default)s")
    parser.add_argument("--recipe", default="default", choices=RECIPES)
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs of each, in turn")
    parser.add_argument("--peer", type=Path, help="airbench94_muon.py; without it ours alone")
    parser.add_argument("--no-compile", action="store_true", help="record our steps, but no more")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here; benchmarks.speed measures training on a CPU.")
    precision = "bf16" if has_bf16(torch.device("cuda")) else "fp16"
    recipe = dataclasses.replace(RECIPES[args.recipe], mixed_precision=precision)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        programs: dict[str, Run] = {args.recipe: ours(recipe, args.dataset, not args.no_compile)}
        programs[args.recipe](0)  # compiles and records
        if args.peer:
            other = stack.enter_context(peer(args.peer.resolve(), args.dataset, folder))
            programs["airbench94_muon"] = other
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
            "check": check(folder / "model", precision),
            "machine": machine(torch.device("cuda")),
            "versions": versions(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(result), TARGET.with_suffix(".png"))
    print(f"{TARGET}.json and .png tell it; {result['check']}")


if __name__ == "__main__":
    main()
