"""How long a classifier takes for an answer, and for an explanation.

    python -m benchmarks.latency

Let nothing else run beside it. Takes turns between the cases, with pictures that come with this
code. Writes "latency" in the model's results.json.
"""

import io
import statistics
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benchmarks._common import ROOT, in_turn, options, record, timed
from model.inference.classifier import Classifier
from model.utils.errors import exit_on_error
from model.utils.machine import machine

BATCH = 128
PHOTO = (4000, 3000)


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, model=True, folder=False, rounds=(60, "of all cases"))
    with exit_on_error():
        classifier = Classifier.from_pretrained(args.model)
    asked = {name: timed(ask) for name, ask in cases(classifier).items()}
    found = {}
    for name, seconds in in_turn(asked, args.rounds).items():
        ms = [1000 * value for value in seconds]
        row = {"median": statistics.median(ms), "p90": statistics.quantiles(ms, n=10)[-1]}
        found[name] = {key: round(value, 2) for key, value in row.items()}
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
    return {
        "one picture of 32 x 32 pixels": lambda: classifier(known),
        "one JPEG file of 12 megapixels": lambda: classifier(file.getvalue()),
        "one large picture that needs a closer look": lambda: classifier(stranger),
        "one picture with its explanation": lambda: classifier.explain(known),
        "one large picture with a closer look and its explanation": lambda: classifier.explain(
            stranger
        ),
        f"{BATCH} pictures of 32 x 32 pixels at once": lambda: classifier([known] * BATCH),
    }


if __name__ == "__main__":
    main()
