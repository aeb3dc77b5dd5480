"""Accuracy of a recipe over several seeds: trains each from scratch, then takes the mean.

    python benchmarks/accuracy.py --dataset DIR_OR_ID --seeds 0 1 2

Every seed is one `train.py` run on all training images (`--val-size 0`). What is finished is not
repeated and what was interrupted goes on, so that the command can be given again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from matplotlib.figure import Figure  # noqa: E402

from model import files  # noqa: E402
from model.checkpoint import NAME  # noqa: E402
from model.recipe import RECIPES  # noqa: E402
from model.style import save  # noqa: E402


def train(directory: Path, options: list[str]) -> dict[str, Any]:
    """Runs train.py to the end, from wherever it stands, and reads its results.json."""
    results = directory / "results.json"
    if not results.is_file():
        resume = (directory / NAME).is_file()
        how = ["--resume", str(directory)] if resume else [*options, "--output", str(directory)]
        subprocess.run([sys.executable, str(ROOT / "train.py"), *how], check=True)
    return files.read_json(results)


def check(results: dict[str, Any], recipe: str, directory: Path) -> None:
    """Refuses the results of an earlier version of the recipe.

    Raises:
        SystemExit: naming the folder to remove.
    """
    asked, found = RECIPES[recipe].to_dict(), results["training"]["recipe"]
    free = {"seed", "val_size", "mixed_precision"}
    if changed := sorted(key for key in asked.keys() - free if asked[key] != found.get(key)):
        sys.exit(f"{directory} is of another recipe ({', '.join(changed)} differ): remove it.")


def summarise(runs: dict[int, dict[str, Any]], recipe: str) -> dict[str, Any]:
    """Mean and spread over the seeds, with every single run beside them."""
    rows = [
        {
            "seed": seed,
            "accuracy": run["test"]["plain"]["accuracy"],
            "accuracy_tta": run["test"]["tta"]["accuracy"],
            "seconds": run["training"]["seconds"],
            "peak_memory_mib": run["training"]["peak_memory_mib"],
        }
        for seed, run in sorted(runs.items())
    ]
    first = next(iter(runs.values()))
    return {
        "recipe": recipe,
        "resolved": first["training"]["recipe"] | {"seed": None},
        "dataset": {k: first["dataset"][k] for k in ("fingerprint", "sizes")},
        "mean_accuracy": statistics.mean(row["accuracy"] for row in rows),
        "mean_accuracy_tta": statistics.mean(row["accuracy_tta"] for row in rows),
        "stdev_accuracy": _spread([row["accuracy"] for row in rows]),
        "stdev_accuracy_tta": _spread([row["accuracy_tta"] for row in rows]),
        "mean_seconds": statistics.mean(row["seconds"] for row in rows),
        "runs": rows,
        "machine": first["machine"],
        "versions": first["versions"],
        "date": first["training"]["date"],
    }


def _spread(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def plot(summary: dict[str, Any], path: Path) -> None:
    """Draws each seed's accuracy and the means."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for key, name, colour in (
        ("accuracy", "plain", "#8a8f98"),
        ("accuracy_tta", "with test-time augmentation", "#2b6cb0"),
    ):
        values = [100 * row[key] for row in summary["runs"]]
        mean = 100 * summary[f"mean_{key}"]
        axes.plot(values, [name] * len(values), "o", color=colour, alpha=0.7)
        axes.plot(mean, name, "|", color="black", markersize=18)
        axes.annotate(f"{mean:.2f}", (mean, name), (0, 14), textcoords="offset points", ha="center")
    axes.margins(0.3, 0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("test accuracy, %")
    axes.set_title(f"{summary['recipe']}: {len(summary['runs'])} seeds and their mean")
    save(figure, path)


def main() -> None:
    """Trains, averages, writes JSON and a plot beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="default: %(default)s")
    parser.add_argument("--recipe", default="default", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    args = parser.parse_args()
    runs = {}
    for seed in args.seeds:
        options = ["--dataset", args.dataset, "--recipe", args.recipe]
        options += ["--val-size", "0", "--seed", str(seed)]
        directory = ROOT / "runs" / f"accuracy-{args.recipe}-seed{seed}"
        runs[seed] = train(directory, options)
        check(runs[seed], args.recipe, directory)
    summary = summarise(runs, args.recipe)
    target = ROOT / "benchmarks" / "results"
    target.mkdir(exist_ok=True)
    files.write_json(target / f"accuracy_{args.recipe}.json", summary)
    plot(summary, target / f"accuracy_{args.recipe}.png")
    shown = {k: v for k, v in summary.items() if k.startswith(("mean", "stdev"))}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
