"""Searches for inputs that break reading pictures and models, guided by the code that they reach.

    pip install atheris
    python -m benchmarks.fuzz

An input that brings out anything but one of our named errors, or takes more than 10 seconds or
2 GB, ends the search and is kept beside the result; on a machine that is busy otherwise, seconds
mean little. Writes fuzz.json in benchmarks/results.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT, options, today, write
from model.utils import files

TARGETS = ("pictures", "models")
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1"]


def search(target: str, seconds: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Runs the fuzzer on one target.

    Args:
        target: One of `TARGETS`.
        seconds: How long.
        folder: For inputs found.
        seed: Of the fuzzer's choices.

    Returns:
        runs: Inputs tried; features: Of the code, reached; seconds: How long it took; broke: What
        ended the search early, or None; seed; date.
    """
    corpus = folder / f"{target}-corpus"
    corpus.mkdir()
    line = [sys.executable, "-m", "benchmarks.fuzz_target", target, str(corpus)]
    line += [*LIMITS, f"-max_total_time={seconds}", f"-seed={seed + 1}"]
    line += [f"-artifact_prefix={folder}/{target}-"]
    began = time.monotonic()
    # By a shell, which is small: Linux counts the memory of whoever starts a program as that
    # program's own, and the fuzzer would take a large test run's for a leak.
    line = ["sh", "-c", '"$@"; exit $?', "sh", *line]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    runs = re.findall(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    reached = re.findall(r"\bft: (\d+)", done.stderr)
    return {
        "runs": int(runs[-1]) if runs else 0,  # none where it could not start
        "features": int(reached[-1]) if reached else 0,
        "seconds": time.monotonic() - began,
        "broke": done.stderr[-3000:].replace(f"{ROOT}/", "") if done.returncode else None,
        "seed": seed,
        "date": today(),
    }


def main() -> None:
    """Searches, prints, writes."""
    args = options(__doc__, minutes=(30.0, "for each target"), seed=(0, "of the fuzzer"))
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), round(60 * args.minutes)
        found = {target: search(target, seconds, folder, args.seed) for target in TARGETS}
        for path in filter(Path.is_file, folder.iterdir()):
            files.write_bytes(args.output / f"fuzz-{path.name}", path.read_bytes())
    write(args, "fuzz", {"targets": found})
    for target, row in found.items():
        print(f"{target}: {row['runs']:,} inputs, {row['features']:,} features of the code")
        if row["broke"]:
            sys.exit(f"{target} broke:\n{row['broke']}")


if __name__ == "__main__":
    main()
