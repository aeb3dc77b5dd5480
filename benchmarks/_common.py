"""What the benchmarks share: options, the model's dataset, taking turns, and where results go."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
import psutil
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from model import data, hub
from model.evaluation import style
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import ConfigError
from model.utils.machine import machine, versions
from model.utils.shards import LabelledImages, ShardedSplit

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
T = TypeVar("T")


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the docstring as it stands, and every default."""


def options(
    doc: str | None, *, model: bool = False, dataset: bool = False, output: bool = True
) -> argparse.ArgumentParser:
    """A parser of a benchmark's command line: its model, its dataset, where its results go."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=_Help)
    if model:
        told = "folder of a model; the default weights are the root's"
        parser.add_argument("model", type=Path, nargs="?", default=ROOT, help=told)
    if dataset:
        told = "if it is not what the model was trained on"
        parser.add_argument("--dataset", metavar="DIR_OR_ID", help=told)
    if output:
        told = "folder for numbers and figure"
        parser.add_argument("--output", type=Path, metavar="DIR", default=RESULTS, help=told)
    return parser


def dataset_name(args: argparse.Namespace) -> str:
    """The dataset asked for, or the one that the model was trained on.

    Raises:
        ConfigError: If the model does not say.
    """
    trained_on = (hub.read_config(args.model).get("cifarnet") or {}).get("data") or {}
    if not (name := args.dataset or trained_on.get("name")):
        raise ConfigError(f"{args.model} does not say what it was trained on: name a --dataset.")
    return name


def load(args: argparse.Namespace) -> tuple[Classifier, data.ImageDataset]:
    """The model asked for, the folder of a finished run, and its dataset.

    Raises:
        CifarnetError: If one of them cannot be read, or the model cannot doubt.
    """
    if not (args.model / "results.json").is_file():
        raise ConfigError(f"{args.model} holds no results.json; name the folder of a finished run.")
    if args.count < 1:
        raise ConfigError(f"--count {args.count} is too few: name at least 1.")
    classifier = Classifier.from_pretrained(args.model)
    if classifier.calibration.known is None:
        raise ConfigError(f"{args.model} knows no limits: train it with validation images.")
    return classifier, data.open_dataset(dataset_name(args), image_size=classifier.image_size)


def spread(split: ShardedSplit, count: int) -> LabelledImages:
    """So many images of a split, spread evenly over it, or all."""
    total = len(split.labels)
    return split.load(torch.arange(0, total, max(1, total // count))[:count])


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """The same call, which gives the seconds that it took."""

    def measured() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return measured


def in_turn(asked: dict[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Calls each once, then all in turn, so that a busy machine slows them alike.

    Returns:
        What they gave, by name, without the first time, which prepares.
    """
    found: dict[str, list[T]] = {name: [] for name in asked}
    for _ in tqdm(range(rounds + 1), desc="rounds"):
        for name, run in asked.items():
            found[name].append(run())
    return {name: values[1:] for name, values in found.items()}


@contextmanager
def started(
    arguments: list[str], mark: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], re.Match[str]]]:
    """Starts a Python command, waits until it prints `mark`, and ends it afterwards.

    Raises:
        SystemExit: If it ends before.
    """
    line = [sys.executable, *arguments]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
    with (
        tempfile.NamedTemporaryFile() as log,
        subprocess.Popen(line, cwd=ROOT, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            while not (told := re.search(mark, Path(log.name).read_text())):
                if process.poll() is not None:
                    sys.exit(f"{arguments[0]} ended early: {Path(log.name).read_text()}")
                time.sleep(0.01)
            yield process, told
        finally:
            process.terminate()


def held(process: int) -> float:
    """MiB of memory that a process holds."""
    return psutil.Process(process).memory_info().rss / 2**20


def where(computer: dict[str, Any]) -> str:
    """What a result was measured on."""
    return f"{computer['cores']} cores of {computer['cpu']}"


def write(
    args: argparse.Namespace,
    name: str,
    content: dict[str, Any],
    draw: Callable[[], Figure] | None = None,
    device: str | torch.device = "cpu",
) -> None:
    """Writes NAME.json, with where and when the numbers came about, and perhaps NAME.png."""
    args.output.mkdir(parents=True, exist_ok=True)
    about = {"machine": machine(device), "versions": versions(), "date": today()}
    files.write_json(args.output / f"{name}.json", content | about)
    if draw:
        plot(draw, args.output / f"{name}.png")
    print(f"{args.output / name}.json tells it.")


def today() -> str:
    """The date, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def record(args: argparse.Namespace, key: str, content: dict[str, Any]) -> None:
    """Writes a part of the model's results.json."""
    path = args.model / "results.json"
    files.write_json(path, files.read_json(path) | {key: content})
    print(f"{path} tells it under {key!r}.")


def plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draws a figure in the project's style."""
    path.parent.mkdir(exist_ok=True)
    with matplotlib.rc_context(style.STYLE):
        style.save(draw(), path)


def chromium() -> str:
    """The browser's program.

    Raises:
        ConfigError: If there is none.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        raise ConfigError("Chromium is needed: install it, or name it in CHROMIUM.")
    return found
