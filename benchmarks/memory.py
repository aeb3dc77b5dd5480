"""Whether memory grows while training goes on: resident memory after every epoch, for many epochs.

    python -m benchmarks.memory

Trains on generated pictures and looks at the process from outside. Writes memory.json in
benchmarks/results.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._common import ROOT, held, options, write

SETTLED = 2  # epochs after which memory should stay as it is


def watch(line: list[str], log: Path) -> list[float]:
    """MiB that a training run holds after each of its epochs."""
    found: list[float] = []
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            done = log.read_text().count("\n") if log.is_file() else 0
            found += [held(process.pid)] * (done - len(found))
            time.sleep(0.02)
    if process.returncode:
        sys.exit(f"train.py ended with {process.returncode}")
    return found


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, epochs=(200, f"of one run, more than {SETTLED}"))
    if args.epochs <= SETTLED:
        sys.exit(f"--epochs {args.epochs} is too few: name more than {SETTLED}.")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        line = [sys.executable, "train.py", "--dataset", "synthetic", "--output", str(run)]
        mib = watch([*line, "--epochs", str(args.epochs)], run / "log.jsonl")
    growth = max(mib[SETTLED:]) - mib[SETTLED - 1]
    print(f"{len(mib)} epochs, {mib[-1]:.0f} MiB, grown by {growth:.1f} MiB")
    write(args, "memory", {"epochs": len(mib), "mib": mib, "growth_mib": growth})


if __name__ == "__main__":
    main()
