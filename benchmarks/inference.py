"""Which way of running the network answers fastest here: eager, compiled, or ONNX Runtime.

    pip install onnx onnxscript onnxruntime
    python -m benchmarks.inference

Same weights, same pictures, in turn: a few calls each after a pause, because one way's threads go
on waiting for work for a while. Nothing else should run beside it. Checks that all agree, and
writes inference.json in benchmarks/results.
"""

import copy
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from benchmarks._common import in_turn, options, timed, write
from model import from_pretrained
from model.hub import read_config
from model.hub.export import export_onnx
from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.optimize import fold, optimize_for_inference

BATCH = 256
CALLS = 20  # of one way in a row; the first two do not count
PAUSE = 0.2  # seconds
Run = Callable[[Tensor], Tensor]


def ways(model: Path, folder: Path) -> dict[str, Run]:
    """Every way, by name; each maps normalised pictures (N, 3, 32, 32) to logits (N, 10)."""
    network: Any = from_pretrained(model)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
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
        "eager, normalisation folded": in_order(fold(last)),
        "as Classifier runs it": in_pieces(in_order(optimize_for_inference(network))),
        "torch.compile": in_order(compiled),
        "ONNX Runtime": onnx,
    }


@torch.inference_mode()
def measure(found: dict[str, Run], count: int, rounds: int, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each way for `count` pictures, call by call."""
    x = torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = found["eager, contiguous"](x)
    for name, run in found.items():
        off = (run(x) - expected).abs().max().item()
        assert off < 1e-3, f"{name} is off by {off}"

    def some_calls(run: Run) -> list[float]:
        time.sleep(PAUSE)
        one = timed(lambda: run(x))
        return [1000 * one() for _ in range(calls)][2:]

    times = in_turn({name: partial(some_calls, run) for name, run in found.items()}, rounds)
    return {name: [*itertools.chain(*each)] for name, each in times.items()}


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, model=True, rounds=(20, "of each way"))
    with tempfile.TemporaryDirectory() as folder:
        found = ways(args.model, Path(folder))
        one = measure(found, 1, args.rounds, CALLS)
        many = measure(found, BATCH, args.rounds, 4)
    rows = {
        name: {
            "one_p50_ms": statistics.median(one[name]),
            "one_p99_ms": statistics.quantiles(one[name], n=100)[-1],
            "images_per_second": 1000 * BATCH / statistics.median(many[name]),
        }
        for name in found
    }
    classifier = Classifier.from_pretrained(args.model)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    whole = timed(lambda: classifier(image))
    answers = [1000 * whole() for _ in range(CALLS * args.rounds)][5:]
    result = {
        "network": read_config(args.model)["architecture"],
        "ways": rows,
        "classifier_p50_ms": statistics.median(answers),
        "classifier_p99_ms": statistics.quantiles(answers, n=100)[-1],
        "batch": BATCH,
        "rounds": args.rounds,
        "threads": torch.get_num_threads(),
        "onnxruntime": onnxruntime.__version__,
    }
    for name, row in rows.items():
        print(f"{name:<30}", ", ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    print(f"Classifier, one picture: {result['classifier_p50_ms']:.2f} ms")
    write(args, "inference", result)


if __name__ == "__main__":
    main()
