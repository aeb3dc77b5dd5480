"""How long until training starts: reading the dataset, and all the way to the first step.

    python -m benchmarks.startup --dataset DIR_OR_ID

Reads the training images as train.py does, and with plain Pillow in one thread, alternating; then
starts train.py and waits for its first step. Writes startup.json and startup.png in
benchmarks/results/.
"""

import argparse
import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import datasets
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks._common import ROOT
from model.data import open_dataset
from model.evaluation import style
from model.utils import files
from model.utils.machine import machine, peak_memory_mib, versions

TARGET = ROOT / "benchmarks" / "results" / "startup"


def ours(name: str) -> tuple[float, int]:
    """Seconds from opening the dataset to all training images as one tensor, and their number."""
    began = time.perf_counter()
    split = open_dataset(name).splits["train"].load()
    return time.perf_counter() - began, len(split)


def plain(name: str) -> float:
    """The same with Pillow, image by image, in one thread."""
    source = open_dataset(name)
    began = time.perf_counter()
    stream = datasets.load_dataset(name, split="train", streaming=True)
    stream = stream.cast_column(source.image_column, datasets.Image(decode=False))
    rows = [
        np.asarray(Image.open(io.BytesIO(row[source.image_column]["bytes"])).convert("RGB"))
        for row in stream
    ]
    np.stack(rows)
    return time.perf_counter() - began


def first_step(name: str) -> float:
    """Seconds from the command to the end of train.py's first steps, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "train.py", "--dataset", name, "--output", f"{folder}/run"]
        process = subprocess.Popen(
            [*command, "--epochs", "1"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        seen = b""
        while not re.search(rb"images/s", seen):
            byte = process.stderr.read(1)
            if not byte:
                raise SystemExit(f"train.py ended early:\n{seen.decode()}")
            seen += byte
        seconds = time.perf_counter() - began
        process.kill()
        process.wait()
        return seconds


def plot(result: dict[str, Any]) -> Figure:
    """Seconds of each, a bar for the median and a point for every round."""
    names = {
        "Pillow, one thread": "seconds_plain_pillow",
        "as train.py reads": "seconds_to_tensor",
        "train.py, first steps": "seconds_to_first_step",
    }
    computer = result["machine"]
    note = (
        f"{result['images']:,} training images; {computer['cores']} cores of "
        f"{computer['cpu']}; points are single rounds"
    )
    figure = style.headed_figure(6.4, 2.8, "Reading images, and starting to train", note)
    axes = figure.subplots()
    colours = [style.RUST if "Pillow" in name else style.BLUE for name in names]
    medians = [statistics.median(result[key]) for key in names.values()]
    bars = axes.barh(list(names), medians, color=colours)
    axes.bar_label(bars, fmt="{:.1f} s", label_type="center", color="white", weight="bold")
    for place, key in enumerate(names.values()):
        axes.plot(result[key], [place] * len(result[key]), ".", color=style.INK, alpha=0.6)
    axes.margins(x=0.15)
    axes.set_xlabel("seconds")
    axes.invert_yaxis()
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    args = parser.parse_args()
    rounds = [(*ours(args.dataset), plain(args.dataset)) for _ in range(args.rounds)]
    result: dict[str, Any] = {
        "images": rounds[0][1],
        "seconds_to_tensor": [seconds for seconds, _, _ in rounds],
        "seconds_plain_pillow": [seconds for _, _, seconds in rounds],
        "peak_memory_mib": peak_memory_mib(),
        "seconds_to_first_step": [first_step(args.dataset) for _ in range(args.rounds)],
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(result), TARGET.with_suffix(".png"))
    for name in ("seconds_to_tensor", "seconds_plain_pillow", "seconds_to_first_step"):
        print(name, ", ".join(f"{value:.1f}" for value in result[name]))


if __name__ == "__main__":
    main()
