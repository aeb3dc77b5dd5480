"""How time grows: with the number of images, and with processes.

    python -m benchmarks.scaling

Generated pictures only; up to 3 GB of them lie in a temporary folder on the way. Nothing else
should run beside it. Writes scaling.json and scaling.png in benchmarks/results.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image
from matplotlib.figure import Figure

from benchmarks._common import ROOT, in_turn, options, where, write
from model.evaluation import style
from model.utils import files
from model.utils.machine import cores, machine
from model.utils.pixels import png
from model.utils.synthetic import NAMES, picture

COUNTS = [10_000, 100_000, 300_000, 1_000_000]
DISTINCT = 5_000  # pictures that are drawn; the rest repeat them
TESTED = 1_000  # images of the test split
SHARED = 10_000  # images that processes share


def generate(folder: Path, count: int) -> None:
    """A dataset of that many pictures in the hub's layout, written bit by bit."""
    rng = np.random.default_rng(0)
    labels = np.arange(DISTINCT) % len(NAMES)
    drawn = [{"bytes": png(picture(int(label), rng)), "path": None} for label in labels]
    features = Features({"image": Image(), "label": ClassLabel(names=list(NAMES))})
    rows = Dataset.from_dict({"image": drawn, "label": labels.tolist()}, features=features)
    for split, total in (("train", count), ("test", TESTED)):
        repeated = rows.select([i % DISTINCT for i in range(total)])
        repeated.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet", batch_size=1_000)


def trained(folder: Path, options: list[str], processes: int = 1) -> dict[str, Any]:
    """What results.json tells of the training of a one-epoch run of train.py."""
    output = folder / f"run-{time.monotonic_ns()}"
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    line = [*launch, "train.py", *options, "--recipe", "default", "--val-size", "0"]
    line += ["--epochs", "1", "--threads", str(max(1, cores() // processes))]
    line += ["--output", str(output)]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run(line, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    return files.read_json(output / "results.json")["training"]


def by_count(count: int) -> dict[str, float]:
    """Seconds and memory of one streamed epoch of that many images."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "images"
        generate(data, count)
        line = ["--dataset", str(data), "--network", "cifarnet_nano", "--resolution", "1:0.5"]
        run = trained(Path(name), [*line, "--cache-limit", "0"])
    row = {"images": count, "seconds": run["seconds"], "peak_memory_mib": run["peak_memory_mib"]}
    print(row, flush=True)
    return row


def by_processes(rounds: int) -> dict[str, list[float]]:
    """Images a second with 1 and 2 processes, in turn."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "images"
        generate(data, SHARED)
        line = ["--dataset", str(data), "--resolution", "1:1"]

        def speed(processes: int) -> float:
            return SHARED / trained(Path(name), line, processes)["seconds"]

        return in_turn({str(number): partial(speed, number) for number in (1, 2)}, rounds)


def draw(result: dict[str, Any], note: str) -> Figure:
    """Seconds by the number of images, with the nearest straight line, and speed by processes."""
    figure = style.headed_figure(8, 3.6, "How time grows", note)
    count, processes = figure.subplots(1, 2)
    rows = result["by_count"]
    images = [row["images"] / 1e6 for row in rows]
    seconds = [row["seconds"] for row in rows]
    slope, start = np.polyfit(images, seconds, 1)
    ends = np.array([0, max(images)])
    count.plot(ends, slope * ends + start, color=style.GRID, lw=2)
    count.plot(images, seconds, "o", color=style.BLUE)
    peak = max(row["peak_memory_mib"] for row in rows) / 1024
    count.set(title=f"A streamed epoch (at most {peak:.1f} GiB)", xlim=(0, None), ylim=(0, None))
    count.set(xlabel="million images", ylabel="seconds")
    for number, values in result["by_processes"]["images_per_second"].items():
        processes.bar(number, statistics.median(values), color=style.BLUE, width=0.5)
        processes.plot([number] * len(values), values, ".", color=style.INK)
    processes.set(title="The same cores shared by", xlabel="processes", ylabel="images a second")
    return figure


def main() -> None:
    """Measures, prints, writes."""
    counts = (COUNTS, "of images, multiples of 1,000")
    args = options(__doc__, rounds=(3, "of what takes turns"), counts=counts)
    result = {
        "by_processes": {"images_per_second": by_processes(args.rounds)},
        "by_count": [by_count(count) for count in args.counts],
    }
    note = f"{where(machine())}; generated pictures"
    write(args, "scaling", result, lambda: draw(result, note))


if __name__ == "__main__":
    main()
