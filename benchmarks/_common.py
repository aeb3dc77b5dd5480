"""What the benchmarks share: options, the model's dataset, taking turns, and where results go."""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
import numpy as np
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
# Options that several benchmarks have, see `options`.
DATASET = ("", "folder or hub id, if it is not what the model was trained on")
RECORD = (False, "in the model's own files too")
CIFAR10, CIFAR100 = (("uoft-cs/" + name, "folder or hub id") for name in ("cifar10", "cifar100"))
T = TypeVar("T")


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the docstring as it stands, and every default."""


def options(
    doc: str | None, model: bool = False, *, folder: bool = True, **more: tuple[Any, ...]
) -> argparse.Namespace:
    """What a benchmark was asked for: the model, the folder of results, and options of its own.

    Args:
        doc: The help.
        model: Whether a model is measured.
        folder: Whether results go to a folder.
        more: By name the default, which says the type, and the help, then perhaps all choices.
            False makes a switch, None an option that must be given, a list one of several values.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=_Help)
    if model:
        told = "folder of a model; the default weights are the root's"
        parser.add_argument("model", type=Path, nargs="?", default=ROOT, help=told)
    if folder:
        more.setdefault("output", (RESULTS, "folder for numbers and figures"))
    for name, (default, told, *choices) in more.items():
        how: dict[str, Any] = {"action": "store_true"}
        if default is not False:
            several = isinstance(default, list)
            one = default[0] if several else default
            how = {"type": str if one is None else type(one), "nargs": "+" if several else None}
            how |= {"default": default, "required": default is None, "choices": choices or None}
        parser.add_argument(f"--{name.replace('_', '-')}", help=told, **how)
    args = parser.parse_args()
    for name, (default, *_) in more.items():
        value = getattr(args, name)
        if type(default) is int and value < (least := min(1, default)):
            parser.error(f"--{name} {value} is too few: name at least {least}.")
    return args


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
    classifier = Classifier.from_pretrained(args.model)
    if classifier.calibration.known is None:
        raise ConfigError(f"{args.model} knows no limits: train it with validation images.")
    return classifier, data.open_dataset(dataset_name(args), image_size=classifier.image_size)


def spread(split: ShardedSplit, count: int) -> LabelledImages:
    """So many images of a split, spread evenly over it, or all."""
    total = len(split.labels)
    return split.load(torch.arange(0, total, max(1, total // count))[:count])


def as_arrays(images: torch.Tensor) -> list[np.ndarray]:
    """Images (N, 3, S, S), as `Classifier` takes them: (S, S, 3) each."""
    return list(images.permute(0, 2, 3, 1).numpy())


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


def averaged(some: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each number, at any depth, over alike dictionaries, to four digits."""
    return {
        key: averaged([one[key] for one in some])
        if isinstance(value, dict)
        else round(statistics.fmean(one[key] for one in some), 4)
        for key, value in some[0].items()
    }


@contextmanager
def started(
    *arguments: str, mark: str = r"The page is at (\S+)", **env: str
) -> Iterator[tuple[int, str]]:
    """Starts a Python command, waits until it prints `mark`, and ends it afterwards.

    Returns:
        The process's number, and the last of what the mark holds: the page's address of `app.py`.

    Raises:
        SystemExit: If it ends before.
    """
    line = [sys.executable, *arguments]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **env}
    with (
        tempfile.NamedTemporaryFile() as log,
        subprocess.Popen(line, cwd=ROOT, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            while not (told := re.search(mark, Path(log.name).read_text())):
                if process.poll() is not None:
                    sys.exit(f"{arguments[0]} ended early: {Path(log.name).read_text()}")
                time.sleep(0.01)
            yield process.pid, told[told.re.groups]
        finally:
            process.terminate()


@contextmanager
def browser(model: str | Path, *flags: str) -> Iterator[tuple[Any, str]]:
    """A Chromium, and the address of a page that serves a model and teaches others.

    Raises:
        SystemExit: If there is no Chromium.
    """
    from playwright.sync_api import sync_playwright  # only benchmarks and tests need it

    if (program := os.environ.get("CHROMIUM") or shutil.which("chromium")) is None:
        sys.exit("Chromium is needed: install it, or name it in CHROMIUM.")
    page = started("app.py", "--allow-training", "--model", str(model))
    with page as (_, url), sync_playwright() as playwright:
        arguments = ["--no-sandbox", *flags]
        yield playwright.chromium.launch(executable_path=program, args=arguments), url


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
