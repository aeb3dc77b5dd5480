"""How long until training starts: reading the dataset, and all the way to the first step.

    python -m benchmarks.startup --dataset DIR_OR_ID

Reads the training images as train.py does, and with plain Pillow in one thread, in turn; then
starts train.py and waits for its first steps. Writes startup.json and startup.png in
benchmarks/results.
"""

import io
import statistics
import tempfile
import time
from functools import partial

import datasets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks._common import CIFAR10, in_turn, options, started, timed, where, write
from model.data import open_dataset
from model.evaluation import style
from model.utils.machine import machine, peak_memory_mib


def ours(name: str) -> None:
    """From opening the dataset to all training images as one tensor."""
    open_dataset(name).splits["train"].load()


def plain(name: str, column: str) -> None:
    """The same with Pillow, image by image, in one thread."""
    stream = datasets.load_dataset(name, split="train", streaming=True)
    stream = stream.cast_column(column, datasets.Image(decode=False))
    files = (row[column]["bytes"] for row in stream)
    np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])


def first_steps(name: str) -> float:
    """Seconds from the command to train.py's first steps, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        line = ["train.py", "--dataset", name, "--output", f"{folder}/run", "--epochs", "1"]
        with started(*line, mark="images/s"):
            return time.perf_counter() - began


def draw(rows: dict[str, list[float]], note: str) -> Figure:
    """A bar for each median, in colour those of ours, and a dot for every round."""
    figure = style.headed_figure(7.2, 2.5, "Reading images, and starting to train", note)
    axes = figure.subplots()
    colours = (style.RUST, style.BLUE, style.BLUE)
    for (name, values), colour in zip(rows.items(), colours, strict=True):
        bar = axes.barh(name, statistics.median(values), color=colour)
        axes.bar_label(bar, fmt="{:.3g}", label_type="center", color="white", weight="bold")
        axes.plot(values, [name] * len(values), ".", color=style.INK, alpha=0.6)
    axes.invert_yaxis()
    axes.set(xlabel="seconds", xlim=(0, None))
    return figure


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, dataset=CIFAR10, rounds=(3, "of each"))
    source = open_dataset(args.dataset)
    images, column = len(source.splits["train"].labels), source.image_column
    asked = {
        "Pillow, one thread": timed(partial(plain, args.dataset, column)),
        "as train.py reads": timed(partial(ours, args.dataset)),
    }
    rows = in_turn(asked, args.rounds)
    peak = peak_memory_mib()
    rows["train.py, first steps"] = [first_steps(args.dataset) for _ in range(args.rounds)]
    keys = ("seconds_plain_pillow", "seconds_to_tensor", "seconds_to_first_step")
    content = dict(zip(keys, rows.values(), strict=True))
    for name, values in content.items():
        print(name, ", ".join(f"{value:.1f}" for value in values))
    note = f"{images:,} training images; {where(machine())}; points are single rounds"
    result = {"images": images, "peak_memory_mib": peak, **content}
    write(args, "startup", result, lambda: draw(rows, note))


if __name__ == "__main__":
    main()
