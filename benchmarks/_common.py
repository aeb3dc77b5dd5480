"""What the benchmarks of a trained model share: its dataset's images, and where results go."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure

from model import data, hub
from model.evaluation import style
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import ConfigError
from model.utils.machine import machine, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def model_argument(doc: str) -> argparse.ArgumentParser:
    """A parser that takes a model."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(
        "model", type=Path, nargs="?", default=ROOT, help="folder of a model (default: the root)"
    )
    return parser


def arguments(doc: str) -> argparse.ArgumentParser:
    """A parser that takes a model and a dataset."""
    parser = model_argument(doc)
    parser.add_argument(
        "--dataset", metavar="DIR_OR_ID", help="default: what the model was trained on"
    )
    return parser


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `publish`."""
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=RESULTS,
        help="where the numbers and the figure go (default: benchmarks/results)",
    )
    parser.add_argument(
        "--record", action="store_true", help="write the numbers to the model's results.json too"
    )


def dataset_name(args: argparse.Namespace) -> str:
    """The dataset asked for, or the one that the model was trained on.

    Raises:
        ConfigError: If the model does not say.
    """
    if args.dataset:
        return args.dataset
    ours = hub.read_config(args.model).get("cifarnet") or {}
    if "data" not in ours:
        raise ConfigError(f"{args.model} does not say what it was trained on: name a --dataset.")
    return ours["data"]["name"]


def load(args: argparse.Namespace) -> tuple[Classifier, data.ImageDataset]:
    """The model asked for and its dataset.

    Raises:
        CifarnetError: If one of them cannot be read, or the model cannot doubt.
    """
    if not (args.model / "results.json").is_file():
        raise ConfigError(f"{args.model} holds no results.json; name the folder of a finished run.")
    if getattr(args, "count", 1) < 1:
        raise ConfigError(f"--count {args.count} is too few: name at least 1.")
    classifier = Classifier.from_pretrained(args.model)
    if classifier.calibration.detector is None:
        raise ConfigError(f"{args.model} knows no limits: train it with validation images.")
    ours = hub.read_config(args.model)["cifarnet"]
    if "data" not in ours or "recipe" not in ours:
        raise ConfigError(f"{args.model} does not say how it was trained; use a run of train.py.")
    name = args.dataset or ours["data"]["name"]
    return classifier, data.open_dataset(name, image_size=classifier.image_size)


def spread(count: int, total: int) -> torch.Tensor:
    """Rows of `count` images spread evenly over a split of `total`, or of all: int64 (n,)."""
    return torch.arange(0, total, max(1, total // count))[:count]


def validation(args: argparse.Namespace, source: data.ImageDataset) -> data.LabelledImages:
    """The images that were held back when the model was trained."""
    recipe = hub.read_config(args.model)["cifarnet"]["recipe"]
    _, held_back = data.train_validation_split(
        source.splits["train"].labels, recipe["val_size"], recipe["seed"]
    )
    return source.splits["train"].load(held_back)


def memory(process: int, field: str) -> float:
    """MiB that a process holds (VmRSS), or has held at most (VmHWM) since `forget_memory`."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    except FileNotFoundError:
        raise SystemExit("The process has ended, or this system is not Linux.") from None
    return 0.0  # it is just ending


def forget_memory(process: int) -> None:
    """Lets the most memory that a process has held count from now on."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def plot(args: argparse.Namespace, name: str, draw: Callable[[], Figure]) -> None:
    """Draws a figure beside the model's others."""
    folder = args.model / "figures"
    folder.mkdir(exist_ok=True)
    with matplotlib.rc_context(style.STYLE):
        style.save(draw(), folder / f"{name}.png")


def record(args: argparse.Namespace, key: str, content: dict[str, Any]) -> None:
    """Writes a part of the model's results.json."""
    path = args.model / "results.json"
    files.write_json(path, files.read_json(path) | {key: content})
    print(f"{path} tells it under {key!r}.")


def publish(
    args: argparse.Namespace, name: str, content: dict[str, Any], draw: Callable[[], Figure]
) -> None:
    """Writes numbers and a figure where `add_output` says, with where and when they came about."""
    weights = args.model / "model.safetensors"
    about = {
        "weights_sha256": files.sha256(weights) if weights.is_file() else None,
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    args.output.mkdir(parents=True, exist_ok=True)
    files.write_json(args.output / f"{name}.json", content | about)
    with matplotlib.rc_context(style.STYLE):
        style.save(draw(), args.output / f"{name}.png")
    print(f"{args.output / name}.json and .png tell it.")
    if args.record:
        record(args, name, content)
