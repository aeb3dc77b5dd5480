"""How time grows: with the network, with the number of images, and with processes.

    python -m benchmarks.scaling

Generated pictures only; up to 3 GB of them lie in a temporary folder on the way. Nothing else
should run beside it. Writes benchmarks/results/scaling.json and scaling.png. What it says of GPUs
is arithmetic on paper, from the communication that was measured here.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import timm
import torch
import torch.nn.functional as F
from datasets import ClassLabel, Features, Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks._common import ROOT
from model.evaluation import style
from model.evaluation.report import multiply_adds
from model.recipe import RECIPES
from model.utils import files
from model.utils.device import resolve_mixed_precision
from model.utils.machine import cores, machine, versions
from model.utils.memory import keep_memory
from model.utils.synthetic import NAMES, picture, png

TARGET = ROOT / "benchmarks" / "results" / "scaling"
SCALES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the default network's widths
COUNTS = (10_000, 100_000, 300_000, 1_000_000)
DISTINCT = 5_000  # pictures that are drawn; the rest repeat them
GROUP = 1_000  # rows written at a time
GPUS = (1, 2, 4, 8, 16, 32, 64)
PAPER = {  # of the imagined GPUs, from their maker's data sheets but for the first
    "operations_a_second": 1.1e14,  # what airbench94_muon sustains on an A100 (its author's time)
    "bytes_a_second_within_8": 3e11,  # NVLink, one direction
    "bytes_a_second_beyond_8": 2.5e10,  # one 200 Gbit/s adapter a machine
    "seconds_a_message": 2e-5,
}


def by_network(rounds: int) -> list[dict[str, float]]:
    """Milliseconds a picture of a training step, for networks of several widths, in turn."""
    bf16 = resolve_mixed_precision("auto", torch.device("cpu")) == "bf16"
    x, y = torch.randn(250, 3, 32, 32), torch.randint(0, 10, (250,))  # (N, 3, 32, 32), (N,)
    x = x.contiguous(memory_format=torch.channels_last)
    networks = {}
    for scale in SCALES:
        widths = tuple(8 * round(scale * width / 8) for width in (64, 256, 256))
        network: Any = timm.create_model("cifarnet_small", widths=widths)
        networks[scale] = network.to(memory_format=torch.channels_last).train()
    times: dict[float, list[float]] = {scale: [] for scale in SCALES}
    for _ in range(rounds + 1):
        for scale, network in networks.items():
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(x)  # (N, 10)
            F.cross_entropy(logits.float(), y).backward()
            times[scale].append(1000 * (time.perf_counter() - began) / len(x))
    return [
        {
            "multiply_adds": multiply_adds(networks[scale], (3, 32, 32)),
            "ms_an_image": statistics.median(values[1:]),
        }
        for scale, values in times.items()
    ]


def write(folder: Path, count: int) -> None:
    """A dataset of that many pictures in the hub's layout, written a row group at a time."""
    (folder / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = np.arange(DISTINCT) % len(NAMES)
    drawn = [{"bytes": png(picture(int(label), rng)), "path": None} for label in labels]
    features = Features({"image": Image(), "label": ClassLabel(names=list(NAMES))})
    schema = features.arrow_schema
    for split, total in (("train", count), ("test", GROUP)):
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, total, GROUP):
                rows = [i % DISTINCT for i in range(first, first + GROUP)]
                columns = {"image": [drawn[i] for i in rows], "label": labels[rows].tolist()}
                writer.write_table(pa.table(columns, schema=schema))


def trained(folder: Path, options: list[str], processes: int = 1) -> dict[str, Any]:
    """What results.json tells of the training of a run of train.py."""
    output = folder / f"run-{time.monotonic_ns()}"
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
        launch += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
    line = [*launch, "train.py", *options, "--val-size", "0", "--output", str(output)]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    line += ["--threads", str(max(1, cores() // processes))]
    subprocess.run(line, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    return files.read_json(output / "results.json")["training"]


def by_count(folder: Path, counts: list[int]) -> list[dict[str, float]]:
    """Seconds and memory of one streamed epoch, for datasets of several sizes."""
    rows = []
    for count in counts:
        data = folder / f"images-{count}"
        write(data, count)
        options = ["--dataset", str(data), "--network", "cifarnet_nano", "--epochs", "1"]
        run = trained(folder, [*options, "--resolution", "1:0.5", "--cache-limit", "0"])
        seconds, peak = run["seconds"], run["peak_memory_mib"]
        rows.append({"images": count, "seconds": seconds, "peak_memory_mib": peak})
        print(rows[-1], flush=True)
        for path in (data / "data").iterdir():
            path.unlink()
    return rows


def loopback_bytes() -> int:
    """Bytes that processes of this machine have sent each other over the network so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    raise SystemExit("This system does not count the bytes that its processes exchange.")


def by_processes(folder: Path, rounds: int) -> dict[str, Any]:
    """Images a second with 1 and 2 processes, in turn, and the bytes that a step sends."""
    data = folder / "shared-work"
    write(data, 10_000)
    options = ["--dataset", str(data), "--resolution", "1:1"]
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes, found in speeds.items():
            run = trained(folder, [*options, "--epochs", "1"], processes)
            found.append(10_000 / run["seconds"])
            print(processes, "process(es):", round(found[-1]), "images/s", flush=True)
    sent = []
    for epochs in (1, 2):  # what starting and ending send is in both
        before = loopback_bytes()
        trained(folder, [*options, "--epochs", str(epochs)], processes=2)
        sent.append(loopback_bytes() - before)
    steps = 10_000 // RECIPES["default"].batch_size
    return {"images_per_second": speeds, "bytes_a_step": (sent[1] - sent[0]) / steps}


def on_paper(bytes_a_step: float) -> dict[str, Any]:
    """Speed-up with 1 to 64 GPUs, by arithmetic: a step computes, then sums gradients in a ring.

    Of two processes, each sends half of a full gradient twice: all they send is two gradients.

    Args:
        bytes_a_step: That two processes sent each other, together.
    """
    recipe, gradient = RECIPES["default"], bytes_a_step / 2
    operations = 6 * multiply_adds(timm.create_model(recipe.network), (3, 32, 32))  # an image

    def seconds(images: float, gpus: int) -> float:
        speed = PAPER["bytes_a_second_within_8" if gpus <= 8 else "bytes_a_second_beyond_8"]
        ring = 2 * (gpus - 1) / gpus * gradient / speed
        messages = 2 * (gpus - 1) * PAPER["seconds_a_message"]
        return images * operations / PAPER["operations_a_second"] + ring + messages

    batch, one = recipe.batch_size, seconds(recipe.batch_size, 1)
    return {
        "assumed": PAPER,
        "operations_an_image": operations,
        "gpus": GPUS,
        "speedup_batch_shared": [one / seconds(batch / n, n) for n in GPUS],
        "speedup_batch_each": [n * one / seconds(batch, n) for n in GPUS],
    }


def line(axes: Axes, x: list[float], y: list[float]) -> None:
    """Points and the straight line nearest to them."""
    slope, start = np.polyfit(x, y, 1)
    ends = np.array([0, max(x)])
    axes.plot(ends, slope * ends + start, color=style.GRID, lw=2)
    axes.plot(x, y, "o", color=style.BLUE)
    axes.set(xlim=(0, None), ylim=(0, None))


def plot(result: dict[str, Any]) -> Figure:
    """Four views: network size, number of images, processes, GPUs on paper."""
    note = f"{result['machine']['cores']} cores of {result['machine']['cpu']}; generated pictures"
    figure = style.headed_figure(8, 6, "How time grows", note)
    size, count, processes, paper = figure.subplots(2, 2).flat
    rows = result["by_network"]
    line(size, [row["multiply_adds"] / 1e6 for row in rows], [row["ms_an_image"] for row in rows])
    size.set(title="A training step, by network", xlabel="million multiply-adds an image")
    size.set_ylabel("ms an image")
    rows = result["by_count"]
    line(count, [row["images"] / 1e6 for row in rows], [row["seconds"] for row in rows])
    peak = max(row["peak_memory_mib"] for row in rows) / 1024
    count.set(title=f"A streamed epoch (at most {peak:.1f} GiB)", xlabel="million images")
    count.set_ylabel("seconds")
    speeds = result["by_processes"]["images_per_second"]
    for number, values in speeds.items():
        processes.bar(f"{number}", statistics.median(values), color=style.BLUE, width=0.5)
        processes.plot([f"{number}"] * len(values), values, ".", color=style.INK)
    processes.set(title="The same cores shared by", xlabel="processes", ylabel="images a second")
    table, batch = result["on_paper"], RECIPES["default"].batch_size
    paper.plot(table["gpus"], table["gpus"], color=style.GRID, lw=2, label="ideal")
    paper.plot(
        table["gpus"], table["speedup_batch_each"], "o-", color=style.BLUE, label=f"{batch:,} each"
    )
    shared = table["speedup_batch_shared"]
    paper.plot(table["gpus"], shared, "o-", color=style.RUST, label=f"{batch:,} shared")
    paper.set_xscale("log", base=2)
    paper.set_yscale("log", base=2)
    paper.set(title="On paper: GPUs", xlabel="GPUs", ylabel="times as fast as one")
    paper.set_xticks(table["gpus"], [str(n) for n in table["gpus"]])
    paper.set_yticks([1, 4, 16, 64], ["1", "4", "16", "64"])
    paper.legend()
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of what takes turns (default: 3)")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="of images, multiples of 1,000"
    )
    args = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, Any] = {"by_network": by_network(args.rounds)}
        result["by_processes"] = by_processes(Path(folder), args.rounds)
        result["on_paper"] = on_paper(result["by_processes"]["bytes_a_step"])
        result["by_count"] = by_count(Path(folder), list(args.counts))
    result |= {"machine": machine(), "versions": versions()}
    result["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(result), TARGET.with_suffix(".png"))


if __name__ == "__main__":
    main()
