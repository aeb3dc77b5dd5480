"""Time to accuracy on this machine: our recipes against airbench94_muon on the CPU, in turn.

    git clone https://github.com/KellerJordan/cifar10-airbench
    python -m benchmarks.speed --dataset DIR_OR_ID --peer cifar10-airbench/airbench94_muon.py

Ours are whole commands on all training images (`--val-size 0`), from start to saved model, without
the imports; the look at the test images comes after that. The other program, moved to the CPU in
float32 as it stands (channels_last, not compiled), runs a few steps before each of our runs; their
median times its 200 steps is its time. Runs that are done are not repeated. Writes
benchmarks/results/speed.json and speed.png.
"""

import argparse
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

from matplotlib.figure import Figure

from benchmarks._common import ROOT
from model import files
from model.data import open_dataset
from model.machine import machine, versions
from model.recipe import RECIPES
from model.style import save

TARGET = ROOT / "benchmarks" / "results" / "speed"
PEER_STEPS, PEER_ACCURACY = 200, 0.9401  # 8 epochs of 25 steps; its authors' mean of 200 runs
MOVES = (  # what makes the program run on a CPU, a few steps long
    ("@torch.compile\n", ""),
    ("G.bfloat16()", "G.float()"),
    ('torch.device("cuda")', 'torch.device("cpu")'),
    (".half()", ".float()"),
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


def peer_steps(program: Path, folder: Path, steps: int) -> list[float]:
    """Seconds of single steps of the other program, without the first one.

    Raises:
        SystemExit: If it is not the program this was written for, or fails.
    """
    text = program.read_text()
    for old, new in MOVES:
        if old not in text:
            sys.exit(f"{program} holds no {old.strip()!r}: it is another version of the program.")
        text = text.replace(old, new)
    (folder / "peer.py").write_text(text)
    env = {**os.environ, "STEPS": str(steps + 1)}
    line = [sys.executable, "peer.py"]
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True)
    ends = [float(value) for value in re.findall(r"STEP ([\d.]+)", done.stdout)]
    if len(ends) != steps + 1:
        sys.exit(f"{program} failed:\n{done.stderr[-2000:]}")
    return [after - before for before, after in itertools.pairwise(ends)]


def give_images(name: str, folder: Path) -> None:
    """Writes the dataset as the other program keeps it."""
    import torch

    source = open_dataset(name)
    (folder / "cifar10").mkdir()
    for split in ("train", "test"):
        part = source.load(split)
        images = part.images.permute(0, 2, 3, 1).contiguous()  # (N, 32, 32, 3)
        content = {"images": images, "labels": part.labels, "classes": list(source.label_names)}
        torch.save(content, folder / "cifar10" / f"{split}.pt")


def ours(recipe: str, seed: int, dataset: str) -> dict[str, Any]:
    """One run of train.py: seconds to the saved model and to the end, and what it reached.

    It stays where `accuracy.py` finds it.
    """
    output = ROOT / "runs" / f"accuracy-{recipe}-seed{seed}"
    if output.exists():
        sys.exit(f"{output} is there already, and its time was not taken: remove it.")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import train"], cwd=ROOT, check=True)
    imports = time.perf_counter() - began
    line = [sys.executable, "train.py", "--dataset", dataset, "--recipe", recipe]
    line += ["--seed", str(seed), "--val-size", "0", "--output", str(output)]
    began = time.perf_counter()
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (output / "model.safetensors").is_file():
            time.sleep(0.1)
        saved = time.perf_counter() - began - imports
    whole = time.perf_counter() - began - imports
    if process.returncode:
        sys.exit(f"train.py ended with {process.returncode}")
    results = files.read_json(output / "results.json")
    return {
        "seed": seed,
        "seconds": saved,
        "whole_seconds": whole,
        "training_seconds": results["training"]["seconds"],
        "accuracy": results["test"]["plain"]["accuracy"],
        "accuracy_tta": results["test"]["tta"]["accuracy"],
        "peak_memory_mib": results["training"]["peak_memory_mib"],
        "resolved": results["training"]["recipe"] | {"seed": None},
    }


def summarise(runs: dict[str, list[dict[str, Any]]], steps: list[float]) -> dict[str, Any]:
    """Means over seeds, and time as a share of the other program's."""
    peer = PEER_STEPS * statistics.median(steps) if steps else None
    rows = {}
    for name, found in runs.items():
        seconds = statistics.mean(run["seconds"] for run in found)
        accuracies = [run["accuracy_tta"] for run in found]
        rows[name] = {
            "seeds": len(found),
            "accuracy_tta": statistics.mean(accuracies),
            "accuracy_tta_spread": statistics.stdev(accuracies) if len(found) > 1 else None,
            "accuracy": statistics.mean(run["accuracy"] for run in found),
            "seconds": seconds,
            "share_of_peer": seconds / peer if peer else None,
        }
    return {"peer_seconds": peer, "recipes": rows}


def plot(summary: dict[str, Any], runs: dict[str, list[dict[str, Any]]], where: str) -> Figure:
    """Accuracy over minutes, every run and the other program."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, found in runs.items():
        minutes = [run["seconds"] / 60 for run in found]
        axes.plot(minutes, [100 * run["accuracy_tta"] for run in found], "o", label=f"ours: {name}")
    if summary["peer_seconds"]:
        at = summary["peer_seconds"] / 60
        label = "airbench94_muon, float32"
        axes.plot(at, 100 * PEER_ACCURACY, "s", color="black", label=label)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_xlabel("minutes, start to saved model (log scale)")
    axes.set_ylabel("test accuracy, six views, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title(f"Training on {where}")
    return figure


def main() -> None:
    """Measures what is missing, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="default: %(default)s")
    parser.add_argument("--recipes", nargs="+", default=["flash", "default"], choices=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--peer", type=Path, help="airbench94_muon.py; without it ours alone")
    parser.add_argument("--peer-steps", type=int, default=4, help="before each run of ours")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, folder: Path) -> None:
    """Runs what is missing, and writes what is known after each run."""
    written = TARGET.with_suffix(".json")
    known = files.read_json(written) if written.is_file() else {}
    runs, steps = known.get("runs", {}), known.get("peer_steps", [])
    if args.peer:
        give_images(args.dataset, folder)
    for seed, recipe in itertools.product(args.seeds, args.recipes):
        if any(run["seed"] == seed for run in runs.get(recipe, [])):
            continue
        if args.peer:
            steps += peer_steps(args.peer, folder, args.peer_steps)
        runs.setdefault(recipe, []).append(ours(recipe, seed, args.dataset))
        summary, computer = summarise(runs, steps), machine()
        about: dict[str, Any] = {"machine": computer, "versions": versions()}
        about["date"] = time.strftime("%Y-%m-%d", time.gmtime())
        files.write_json(written, {**summary, "runs": runs, "peer_steps": steps, **about})
        where = f"{computer['cores']} cores of {computer['cpu']}"
        save(plot(summary, runs, where), TARGET.with_suffix(".png"))
        print(recipe, seed, runs[recipe][-1]["seconds"], summary["recipes"][recipe], flush=True)


if __name__ == "__main__":
    main()
