"""Which way of running the network answers fastest here: eager, compiled, or ONNX Runtime.

    pip install onnx onnxscript onnxruntime
    python -m benchmarks.inference --dataset DIR_OR_ID

Same weights, same pictures, in turn: a few calls each after a pause, because one way's threads go
on waiting for work for a while. Nothing else should run beside it. Checks that all agree, and how
far Classifier's answers about the test images are those of the network in float32: on processors
with units for bfloat16 it computes with them. Writes inference.json in benchmarks/results.
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

from benchmarks._common import as_arrays, dataset_name, in_turn, options, timed, write
from model import from_pretrained
from model.data import open_dataset
from model.hub import read_config
from model.hub.export import export_onnx
from model.inference.classifier import BATCH_SIZE, Classifier
from model.inference.optimize import TOLERANCE, fold, optimize_for_inference
from model.inference.prediction import Prediction
from model.utils.device import has_bf16

BATCH = 256
CALLS = 20  # of one way in a row; the first two do not count
PAUSE = 0.2  # seconds
CPU = torch.device("cpu")
SERVED = "as Classifier runs it"
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
        SERVED: in_pieces(in_order(optimize_for_inference(network))),
        "torch.compile": in_order(compiled),
        "ONNX Runtime": onnx,
    }


def some_calls(run: Callable[[], object], calls: int) -> list[float]:
    """Milliseconds of calls in a row, after a pause."""
    time.sleep(PAUSE)
    one = timed(run)
    return [1000 * one() for _ in range(calls)][2:]


@torch.inference_mode()
def measure(found: dict[str, Run], count: int, rounds: int, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each way for `count` pictures, call by call."""
    x = torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = found["eager, contiguous"](x)
    for name, run in found.items():
        off = (run(x) - expected).abs().max().item()
        largest = TOLERANCE[torch.bfloat16] * expected.abs().max().item()
        bound = largest if name == SERVED and has_bf16(CPU) else 1e-3
        assert off < bound, f"{name} is off by {off}"

    each: dict[str, Callable[[], list[float]]]
    each = {name: partial(some_calls, partial(run, x), calls) for name, run in found.items()}
    times = in_turn(each, rounds)
    return {name: [*itertools.chain(*each)] for name, each in times.items()}


def agreement(classify: Classifier, name: str) -> dict[str, float]:
    """How far a classifier answers about a dataset's test images as its network does in float32."""
    size = classify.image_size
    split = open_dataset(name, image_size=size).splits["test"].load()
    images = as_arrays(split.images)  # N of (S, S, 3)
    exact = copy.copy(classify)
    exact._fast = exact.network
    served, wanted = classify(images), exact(images)
    truth = [classify.label_names[i] for i in split.labels.tolist()]

    def right(answers: list[Prediction]) -> float:
        return statistics.mean(one.label == name for one, name in zip(answers, truth, strict=True))

    pairs = list(zip(served, wanted, strict=True))
    apart = [abs(one.probability - other.probabilities[one.label]) for one, other in pairs]
    return {
        "images": len(images),
        "same_label": statistics.mean(one.label == other.label for one, other in pairs),
        "same_verdict": statistics.mean(one.verdict == other.verdict for one, other in pairs),
        "mean_difference": statistics.mean(apart),
        "largest_difference": max(apart),
        "accuracy": right(served),
        "accuracy_float32": right(wanted),
    }


def main() -> None:
    """Measures, prints, writes."""
    dataset = ("", "on the hub or in a folder; that of the model if not given")
    args = options(__doc__, model=True, rounds=(20, "of each way"), dataset=dataset)
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
    whole = partial(classifier, image)
    answers = [*itertools.chain(*(some_calls(whole, CALLS) for _ in range(args.rounds)))]
    alike = agreement(classifier, dataset_name(args))
    result = {
        "network": read_config(args.model)["architecture"],
        "ways": rows,
        "classifier_p50_ms": statistics.median(answers),
        "classifier_p99_ms": statistics.quantiles(answers, n=100)[-1],
        "agreement": alike,
        "bfloat16": has_bf16(CPU),
        "batch": BATCH,
        "rounds": args.rounds,
        "threads": torch.get_num_threads(),
        "onnxruntime": onnxruntime.__version__,
    }
    for name, row in rows.items():
        print(f"{name:<30}", ", ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    print(f"Classifier, one picture: {result['classifier_p50_ms']:.2f} ms")
    print(", ".join(f"{key} {value:.4g}" for key, value in alike.items()))
    write(args, "inference", result)


if __name__ == "__main__":
    main()
