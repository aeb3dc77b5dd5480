"""How long a classifier takes for an answer, and for an explanation.

    python -m benchmarks.latency

Let nothing else run beside it. Takes turns between the cases, with pictures that come with this
code. Writes "latency" in the model's results.json.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks._common import ROOT, record
from model.inference.classifier import Classifier
from model.utils.errors import exit_on_error
from model.utils.machine import machine

BATCH = 128
PHOTO = (4000, 3000)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=ROOT, help="default: the root")
    parser.add_argument("--rounds", type=int, default=60, help="of all cases (default: 60)")
    args = parser.parse_args()
    with exit_on_error():
        classifier = Classifier.from_pretrained(args.model)
    asked = cases(classifier)
    times: dict[str, list[float]] = {name: [] for name in asked}
    for ask in asked.values():  # what is done only once is not counted
        ask()
    for _ in tqdm(range(args.rounds)):
        for name, ask in asked.items():
            began = time.perf_counter()
            ask()
            times[name].append(1000 * (time.perf_counter() - began))
    found = {name: _spread(values) for name, values in times.items()}
    for name, row in found.items():
        print(f"{name:<58} {row['median']:7.1f} ms  (90 % below {row['p90']:.1f} ms)")
    here = machine(next(classifier.network.parameters()).device)
    content = {"unit": "milliseconds", "rounds": args.rounds, "cases": found}
    record(args, "latency", content | {"threads": torch.get_num_threads(), "machine": here})


def cases(classifier: Classifier) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    with Image.open(ROOT / "examples" / "ship.png") as image:
        known = image.convert("RGB").resize((32, 32))
    stranger = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    file = io.BytesIO()
    known.resize(PHOTO).save(file, "JPEG", quality=90)
    photo = file.getvalue()
    return {
        "one picture of 32 x 32 pixels": lambda: classifier(known),
        "one JPEG file of 12 megapixels": lambda: classifier(photo),
        "one large picture that needs a closer look": lambda: classifier(stranger),
        "one picture with its explanation": lambda: classifier.explain(known),
        "one large picture with a closer look and its explanation": lambda: classifier.explain(
            stranger
        ),
        f"{BATCH} pictures of 32 x 32 pixels at once": lambda: classifier([known] * BATCH),
    }


def _spread(values: list[float]) -> dict[str, float]:
    deciles = statistics.quantiles(values, n=10)
    return {"median": round(statistics.median(values), 2), "p90": round(deciles[-1], 2)}


if __name__ == "__main__":
    main()
