"""Time to accuracy on this machine: our recipes against airbench94_muon on the CPU, in turn.

    git clone https://github.com/KellerJordan/cifar10-airbench
    python -m benchmarks.speed --dataset DIR_OR_ID --peer cifar10-airbench/airbench94_muon.py

Ours are whole commands on all training images (`--val-size 0`), from start to saved model, without
the imports; the look at the test images comes after that. The other program, moved to the CPU as it
stands (channels_last, not compiled), runs a few steps before and after each of our runs: in
bfloat16, where its authors have float16, if the processor has units for it, with freed memory kept,
as ours has it, and without; and in float32. The median times its 200 steps is its time, and the
fastest kind is the baseline. Nothing else should run beside them. Runs that are done are not
repeated, so that the command can be given again. Writes speed.json and speed.png in
benchmarks/results; `python -m model.hub.release` takes them into README.md.
"""

import argparse
import dataclasses
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from benchmarks._common import CIFAR10, ROOT, options, timed, today, where, write
from model.data import open_dataset
from model.evaluation import style
from model.hub import from_pretrained
from model.inference.logits import predict
from model.recipe import RECIPES, Recipe
from model.utils import files
from model.utils.device import has_bf16
from model.utils.machine import machine, versions
from model.utils.memory import KEEP

PEER_STEPS, PEER_ACCURACY = 200, 0.9401  # 8 epochs of 25 steps; its authors' mean of 200 runs
MOVES = (  # what makes the program run on a CPU, a few steps long
    ("@torch.compile\n", ""),
    ('torch.device("cuda")', 'torch.device("cpu")'),
    (".cuda()", ""),
    (", fused=True", ""),
    ("starter = torch.cuda.Event(enable_timing=True)", "import time; marks = []"),
    ("ender = torch.cuda.Event(enable_timing=True)", ""),
    ("starter.record()", "marks.append(time.perf_counter())"),
    ("ender.record()", ""),
    ("torch.cuda.synchronize()", ""),
    ("1e-3 * starter.elapsed_time(ender)", "time.perf_counter() - marks[-1]"),
    (
        "            step += 1\n",
        "            step += 1; print('STEP', time.time())\n"
        "            if step == int(os.environ['STEPS']): sys.exit()\n",
    ),
    ('    model.compile(mode="max-autotune")\n', ""),
    ('    main("warmup", model)\n', ""),
)
BFLOAT16 = ((".half()", ".bfloat16()"),)  # few CPUs compute in its authors' float16
FLOAT32 = ((".half()", ".float()"), ("G.bfloat16()", "G.float()"))
# As our command keeps memory: else glibc maps large tensors anew each time.
KEPT = {f"MALLOC_{name}": str(value) for name, value in KEEP.items()}
KINDS = {  # how the program is changed, and the environment that it runs in
    "bfloat16, freed memory kept": (BFLOAT16, KEPT),
    "bfloat16, freed memory given back": (BFLOAT16, {}),
    "float32, freed memory kept": (FLOAT32, KEPT),
}


def peer_steps(program: Path, folder: Path, kind: str, steps: int) -> list[float]:
    """Seconds of single steps of the other program, as one of `KINDS`, without the first one.

    Raises:
        SystemExit: If it is not the program this was written for, or fails.
    """
    text = program.read_text()
    changes, environment = KINDS[kind]
    for old, new in MOVES + changes:
        if old not in text:
            sys.exit(f"{program} holds no {old.strip()!r}: it is another version of the program.")
        text = text.replace(old, new)
    (folder / "peer.py").write_text(text)
    env = os.environ | environment | {"STEPS": str(steps + 1)}
    line = [sys.executable, "peer.py"]
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True)
    ends = [float(value) for value in re.findall(r"STEP ([\d.]+)", done.stdout)]
    if len(ends) != steps + 1:
        sys.exit(f"{program} failed:\n{done.stderr[-2000:]}")
    return [after - before for before, after in itertools.pairwise(ends)]


def give_images(name: str, folder: Path) -> None:
    """Writes the dataset as the other program keeps it."""
    source = open_dataset(name)
    (folder / "cifar10").mkdir()
    for split in ("train", "test"):
        part = source.splits[split].load()
        images = part.images.permute(0, 2, 3, 1).contiguous()  # (N, 32, 32, 3)
        content = {"images": images, "labels": part.labels, "classes": list(source.label_names)}
        torch.save(content, folder / "cifar10" / f"{split}.pt")


def six_views(run: nn.Module, x: Tensor) -> tuple[Tensor]:
    """Test-time augmentation, as airbench does it (Jordan 2024, arXiv:2404.00498).

    Args:
        run: The network.
        x: Normalised images (n, 3, S, S).

    Returns:
        The mean of six logits (n, C): the image and its mirror image count 1/4 each, and both
        shifted by one pixel up and left, and down and right, with a reflected border, 1/8 each.
    """
    both = run(x) + run(x.flip(-1))  # (n, C)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")  # (n, 3, S + 2, S + 2)
    shifted = torch.zeros_like(both)
    for view in (padded[..., :-2, :-2], padded[..., 2:, 2:]):
        view = view.contiguous(memory_format=torch.channels_last)  # (n, 3, S, S)
        shifted += run(view) + run(view.flip(-1))
    return (both / 4 + shifted / 8,)


def ours(recipe: str, seed: int, dataset: str, folder: Path) -> dict[str, Any]:
    """One run of train.py: seconds to the saved model and to the end, and what it reached."""
    output = folder / f"{recipe}-seed{seed}"
    line = [sys.executable, "-c", "import train"]
    imports = timed(lambda: subprocess.run(line, cwd=ROOT, check=True))()
    line = [sys.executable, "train.py", "--dataset", dataset, "--recipe", recipe]
    line += ["--seed", str(seed), "--val-size", "0", "--output", str(output)]
    began = time.perf_counter() + imports
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (output / "model.safetensors").is_file():
            time.sleep(0.1)
        saved = time.perf_counter() - began
    whole = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"train.py ended with {process.returncode}")
    results = files.read_json(output / "results.json")
    training = results["training"]
    test = open_dataset(dataset).splits["test"].load()
    logits = predict(from_pretrained(output), test.images, six_views)[0]  # (N, C)
    return {
        "seed": seed,
        "seconds": saved,
        "whole_seconds": whole,
        "training_seconds": training["seconds"],
        "accuracy": results["test"]["plain"]["accuracy"],
        "accuracy_tta": (logits.argmax(1) == test.labels).double().mean().item(),
        "peak_memory_mib": training["peak_memory_mib"],
        "fingerprint": results["dataset"]["fingerprint"],
        "resolved": training["recipe"] | {"seed": None},
        "date": today(),
        "versions": versions(),
    }


def kinds_of(program: str) -> tuple[str, ...]:
    """How the other program, if there is one, is timed here."""
    if not program:
        return ()
    halves = has_bf16(torch.device("cpu"))
    return tuple(kind for kind in KINDS if halves or "bfloat16" not in kind)


def is_current(run: dict[str, Any], recipe: str, kinds: tuple[str, ...]) -> bool:
    """Whether a run was made by the recipe as it is today, beside the same kinds."""
    if tuple(run["peer_steps"]) != kinds:
        return False
    made = Recipe.from_dict(run["resolved"] | {"seed": 0})  # also before some fields existed
    own: Any = {"val_size": made.val_size, "mixed_precision": made.mixed_precision}
    return made == dataclasses.replace(RECIPES[recipe], **own)


def mean_and_spread(runs: list[dict[str, Any]], *keys: str) -> dict[str, Any]:
    """Means and standard deviations over runs, None where there are too few."""
    row: dict[str, Any] = {}
    for key in keys:
        values = [run[key] for run in runs if key in run]
        row[key] = statistics.mean(values) if values else None
        row[f"{key}_stdev"] = statistics.stdev(values) if len(values) > 1 else None
    return row


def draw(result: dict[str, Any]) -> Figure:
    """Accuracy over minutes: every run of ours, and the other program."""
    note = f"{where(machine())}; CIFAR-10, six views of each test image"
    figure = style.headed_figure(6.4, 4, "Time to accuracy, training on a CPU", note)
    axes = figure.subplots()
    colours = dict(zip(RECIPES, (style.BLUE, "#2f8f6b", "#8a8f98", "#8a5fa8"), strict=False))
    for name, found in result["runs"].items():
        minutes = [run["seconds"] / 60 for run in found]
        accuracies = [100 * run["accuracy_tta"] for run in found]
        axes.plot(minutes, accuracies, "o", color=colours.get(name), alpha=0.8, label=name)
    for (kind, seconds), mark in zip(result["peer_kinds"].items(), "sD^", strict=False):
        at, label = seconds / 60, f"airbench94_muon, {kind}"
        faded = 1.0 if seconds == result["peer_seconds"] else 0.4
        axes.plot(at, 100 * PEER_ACCURACY, mark, color=style.RUST, alpha=faded, label=label)
    axes.set(xscale="log", xlim=(0.5, 60), ylabel="test accuracy, %")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 40], ["½", "1", "2", "5", "10", "20", "40"])
    axes.minorticks_off()
    axes.set_xlabel("minutes from start to saved model (log scale)")
    axes.legend(loc="lower right")
    return figure


def main() -> None:
    """Runs what is missing, prints, and writes what is known after each run."""
    args = options(
        __doc__,
        dataset=CIFAR10,
        recipes=(["flash", "default"], "of ours", *RECIPES),
        seeds=([0, 1, 2], "one run for each"),
        peer=("", "airbench94_muon.py; without it ours alone"),
        peer_steps=(4, "between runs of ours"),
    )
    kinds = kinds_of(args.peer)
    written = args.output / "speed.json"
    known = files.read_json(written)["runs"] if written.is_file() else {}
    runs = {
        name: [run for run in known.get(name, []) if is_current(run, name, kinds)]
        for name in RECIPES
    }
    asked = itertools.product(args.seeds, args.recipes)
    missing = [(n, name) for n, name in asked if n not in {run["seed"] for run in runs[name]}]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.peer and missing:
            give_images(args.dataset, folder)

        def peers() -> dict[str, list[float]]:
            return {k: peer_steps(Path(args.peer), folder, k, args.peer_steps) for k in kinds}

        before = peers() if missing else {}
        for seed, recipe in missing:
            run = ours(recipe, seed, args.dataset, folder)
            after = peers()
            run["peer_steps"] = {kind: before[kind] + after[kind] for kind in kinds}
            before = after
            runs[recipe].append(run)
            publish(args, runs)
            print(recipe, {key: run[key] for key in run if key != "resolved"}, flush=True)
    publish(args, runs)  # also where nothing was missing: the plot may have changed


def publish(args: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Saves all runs, their means and the plot."""
    result = summary({name: found for name, found in runs.items() if found})
    write(args, "speed", result, lambda: draw(result))


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Means over runs, and their shares of the time of the other program's fastest kind."""
    every = [run for found in runs.values() for run in found]
    kinds = {
        kind: PEER_STEPS * statistics.median([s for run in every for s in run["peer_steps"][kind]])
        for kind in (every[0]["peer_steps"] if every else ())
    }
    fastest = min(kinds, key=lambda kind: kinds[kind], default=None)
    for run in every if fastest else ():  # against the steps just before and after
        run["share_of_peer"] = run["seconds"] / (
            PEER_STEPS * statistics.median(run["peer_steps"][fastest])
        )
    return {
        "peer": fastest and f"airbench94_muon, {fastest}, not compiled",
        "peer_accuracy": PEER_ACCURACY,
        "peer_seconds": kinds.get(fastest),
        "peer_kinds": kinds,
        "recipes": {
            name: {"seeds": len(found)}
            | mean_and_spread(found, "accuracy_tta", "accuracy", "seconds", "share_of_peer")
            | {"peak_memory_mib": max(run["peak_memory_mib"] or 0 for run in found)}
            for name, found in runs.items()
        },
        "runs": runs,
    }


if __name__ == "__main__":
    main()
