"""Whether memory grows while training goes on: resident memory after every epoch, for many epochs.

    python -m benchmarks.memory

Trains on generated pictures and looks at the process from outside. Needs Linux. Writes
benchmarks/results/memory.json and memory.png.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks._common import ROOT, memory
from model.evaluation import style
from model.utils import files
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "memory"
SETTLED = 2  # epochs after which memory should stay as it is


def watch(line: list[str], log: Path) -> list[float]:
    """MiB that a training run holds after each of its epochs."""
    found: list[float] = []
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            done = log.read_text().count("\n") if log.is_file() else 0
            if done > len(found):
                found += [memory(process.pid, "VmRSS")] * (done - len(found))
            time.sleep(0.02)
    if process.returncode:
        sys.exit(f"train.py ended with {process.returncode}")
    return found


def plot(result: dict[str, Any]) -> Figure:
    """Memory over epochs."""
    note = f"grown by {result['growth_mib']:.1f} MiB at most since epoch {SETTLED}"
    figure = style.headed_figure(6, 3, "Memory of a long training", note)
    axes = figure.subplots()
    axes.plot(range(1, len(result["mib"]) + 1), result["mib"], color=style.BLUE)
    axes.set(xlabel="epochs", ylabel="resident memory, MiB", ylim=(0, 1.2 * max(result["mib"])))
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200, help="default: %(default)s")
    args = parser.parse_args()
    if args.epochs <= SETTLED:
        sys.exit(f"--epochs {args.epochs} is too few: name more than {SETTLED}.")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        line = [sys.executable, "train.py", "--dataset", "synthetic", "--output", str(run)]
        mib = watch([*line, "--epochs", str(args.epochs)], run / "log.jsonl")
    result: dict[str, Any] = {
        "epochs": len(mib),
        "mib": mib,
        "growth_mib": max(mib[SETTLED:]) - mib[SETTLED - 1],
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(result), TARGET.with_suffix(".png"))
    print(f"{len(mib)} epochs, {mib[-1]:.0f} MiB, grown by {result['growth_mib']:.1f} MiB")


if __name__ == "__main__":
    main()
