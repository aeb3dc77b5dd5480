"""How long until training starts: reading the dataset, and all the way to the first step.

    python benchmarks/startup.py --dataset DIR_OR_ID

Reads the training images as train.py does, and with plain Pillow in one thread, alternating; then
starts train.py and waits for its first step. Writes benchmarks/results/startup.json.
"""

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import files  # noqa: E402
from model.data import open_dataset  # noqa: E402
from model.machine import machine, peak_memory_mib, versions  # noqa: E402


def ours(name: str) -> tuple[float, int]:
    """Seconds from opening the dataset to all training images as one tensor, and their number."""
    began = time.perf_counter()
    split = open_dataset(name).load("train")
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


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    args = parser.parse_args()
    rounds = [(*ours(args.dataset), plain(args.dataset)) for _ in range(args.rounds)]
    result = {
        "images": rounds[0][1],
        "seconds_to_tensor": [seconds for seconds, _, _ in rounds],
        "seconds_plain_pillow": [seconds for _, _, seconds in rounds],
        "peak_memory_mib": peak_memory_mib(),
        "seconds_to_first_step": [first_step(args.dataset) for _ in range(args.rounds)],
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    target = ROOT / "benchmarks" / "results"
    target.mkdir(exist_ok=True)
    files.write_json(target / "startup.json", result)
    for name in ("seconds_to_tensor", "seconds_plain_pillow", "seconds_to_first_step"):
        print(name, ", ".join(f"{value:.1f}" for value in result[name]))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
