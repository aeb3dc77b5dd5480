"""Which way of running the network answers fastest here: eager, compiled, or ONNX Runtime.

    pip install onnx onnxscript onnxruntime
    python -m benchmarks.inference

Same weights, same pictures, in turn: a few calls each after a pause, because one way's threads go
on waiting for work for a while. Nothing else should run beside it. Checks that all agree, and
writes benchmarks/results/inference.json and inference.png.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import onnxruntime
import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from benchmarks._common import ROOT
from model import from_pretrained
from model.evaluation import style
from model.hub.export import export_onnx
from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.optimize import fold, optimize_for_inference
from model.utils import files
from model.utils.machine import machine, versions

BATCH = 256
CALLS = 20  # of one way in a row; the first two do not count
PAUSE = 0.2  # seconds
OURS = "as Classifier runs it"
TARGET = ROOT / "benchmarks" / "results" / "inference"
Run = Callable[[Tensor], Tensor]


def ways(model: Path, folder: Path) -> dict[str, Run]:
    """Every way, by name; each maps normalised pictures (N, 3, 32, 32) to logits (N, 10)."""
    network: Any = from_pretrained(model)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    fused = fold(last)
    compiled = torch.compile(copy.deepcopy(last), dynamic=False)
    card: Any = network.pretrained_cfg
    mean, std = (torch.tensor(card[name]).view(-1, 1, 1) for name in ("mean", "std"))  # (3, 1, 1)
    session = onnxruntime.InferenceSession(str(export_onnx(model, folder / "model.onnx")))

    def onnx(x: Tensor) -> Tensor:
        pixels = (x * std + mean).numpy()
        return torch.from_numpy(session.run(None, {"pixel_values": pixels})[0])

    def in_order(network: Any) -> Run:
        return lambda x: network(x.contiguous(memory_format=torch.channels_last))

    def in_pieces(run: Run) -> Run:
        return lambda x: torch.cat([run(part) for part in x.split(2 * BATCH_SIZE)])

    return {
        "eager, contiguous": network,
        "eager, channels_last": in_order(last),
        "eager, normalisation folded": in_order(fused),
        OURS: in_pieces(in_order(optimize_for_inference(network))),
        "torch.compile": in_order(compiled),
        "ONNX Runtime": onnx,
    }


@torch.inference_mode()
def measure(
    found: dict[str, Run], count: int, rounds: int, calls: int = CALLS
) -> dict[str, list[float]]:
    """Milliseconds of each way for `count` pictures, call by call."""
    x = torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = found["eager, contiguous"](x)
    for name, run in found.items():  # the first call prepares
        off = (run(x) - expected).abs().max().item()
        assert off < 1e-3, f"{name} is off by {off}"
        run(x)
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in tqdm(range(rounds), desc=f"{count} at once"):
        for name, run in found.items():
            time.sleep(PAUSE)
            for call in range(calls):
                began = time.perf_counter()
                run(x)
                if call > 1:
                    times[name].append(1000 * (time.perf_counter() - began))
    return times


def classify(model: Path, rounds: int) -> list[float]:
    """Milliseconds of a whole answer of `Classifier` to one array of 32 x 32 pixels."""
    classifier, rng = Classifier.from_pretrained(model), np.random.default_rng(0)
    image, times = rng.integers(0, 256, (32, 32, 3), np.uint8), []
    for _ in range(rounds):
        began = time.perf_counter()
        classifier(image)
        times.append(1000 * (time.perf_counter() - began))
    return times[5:]


def plot(rows: dict[str, dict[str, float]], note: str) -> Figure:
    """Latency and throughput, a bar for each way."""
    figure = style.headed_figure(7.2, 3.2, "Ways to run the same network", note)
    for axes, key, title in zip(
        figure.subplots(1, 2, sharey=True),
        ("one_p50_ms", "images_per_second"),
        ("one picture, milliseconds (median)", f"pictures a second, {BATCH} at once"),
        strict=True,
    ):
        colours = [style.RUST if name == OURS else style.BLUE for name in rows]
        bars = axes.barh(list(rows), [row[key] for row in rows.values()], color=colours)
        axes.bar_label(bars, fmt="{:,.1f}" if "ms" in key else "{:,.0f}", padding=3)
        axes.margins(x=0.2)
        axes.set_xlabel(title)
    axes.invert_yaxis()
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=ROOT, help="default: the root")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = ways(args.model, Path(folder))
        one = measure(found, 1, args.rounds)
        many = measure(found, BATCH, args.rounds, calls=4)
    rows = {
        name: {
            "one_p50_ms": statistics.median(one[name]),
            "one_p99_ms": statistics.quantiles(one[name], n=100)[-1],
            "images_per_second": 1000 * BATCH / statistics.median(many[name]),
        }
        for name in found
    }
    answers = classify(args.model, CALLS * args.rounds)
    result: dict[str, Any] = {
        "ways": rows,
        "classifier_p50_ms": statistics.median(answers),
        "classifier_p99_ms": statistics.quantiles(answers, n=100)[-1],
        "batch": BATCH,
        "rounds": args.rounds,
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "versions": versions() | {"onnxruntime": onnxruntime.__version__},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        where = result["machine"]
        note = f"{where['cores']} cores of {where['cpu']}, float32, 32 x 32 pixels"
        style.save(plot(rows, note), TARGET.with_suffix(".png"))
    for name, row in rows.items():
        print(f"{name:<30}", ", ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    print(f"Classifier, one picture: {result['classifier_p50_ms']:.2f} ms")


if __name__ == "__main__":
    main()
