"""Kills training again and again, at random moments, and resumes it: the weights must not notice.

    python -m benchmarks.survival

Each run of train.py on generated pictures is interrupted by signals, in the middle of writing its
checkpoint, and by a disk that is full, and resumed after each; in the end its weights must be those
of a run that was left alone, bit for bit, and no file may be left over. Writes survival.json in
benchmarks/results.
"""

import contextlib
import itertools
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from benchmarks._common import ROOT, options, write
from model.checkpoint import NAME
from model.utils import files

SMALL = ["--dataset", "synthetic", "--recipe", "tiny", "--network", "cifarnet_nano"]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
PATIENCE = 300.0  # seconds until a run that neither ends nor gets on counts as stuck
WEIGHTS, LOG = "model.safetensors", "log.jsonl"
FULL = 49  # KiB of one file after which the disk counts as full


@dataclass
class Report:
    """What became of the interruptions."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What should not have been: tracebacks, missing hints, other weights, left-over files."""


def begun(run: Path, options: list[str], full_disk: bool = False) -> subprocess.Popen[str]:
    """Starts a run, or takes it up."""
    asked = ["--resume"] if (run / NAME).is_file() else [*options, "--output"]
    line = [sys.executable, "train.py", *asked, str(run)]
    if full_disk:  # writing more than so many blocks of 1 KiB fails
        line = ["bash", "-c", f'ulimit -f {FULL}; exec "$@"', "bash", *line]
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(line, cwd=ROOT, stdout=nothing, stderr=pipe, text=True)


def finish(run: Path, options: list[str], report: Report) -> None:
    """Lets a run come to its end."""
    process = begun(run, options)
    stderr = process.communicate(timeout=PATIENCE)[1]
    if process.returncode:
        report.faults.append(f"it could not be resumed: {stderr[-500:]}")


def interrupt(
    run: Path, options: list[str], longest: float, chance: random.Random, report: Report
) -> bool:
    """Lets a run go on for at most `longest` seconds and interrupts it.

    Returns:
        Whether it was interrupted before it came to its end.
    """
    kind = chance.choice(["any moment", "any moment", "while writing", "full disk"])
    if kind == "full disk" and not (run / NAME).is_file():
        kind = "any moment"  # nothing of the run would be there to resume
    process = begun(run, options, full_disk=kind == "full disk")
    sign = chance.choice(SIGNALS)
    if kind == "any moment":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, longest))
    elif kind == "while writing":
        wait_for_writing(run, process, after=chance.randrange(4))
    if kind != "full disk":
        process.send_signal(sign)
        kind = f"{sign.name}, {kind}"
    stderr = process.communicate(timeout=PATIENCE)[1]
    if process.returncode == 0:
        return False
    report.kills[kind] += 1
    if "in main\n" in stderr:  # of a traceback; those while libraries load are Python's own
        report.faults.append(f"{kind}: a traceback: {stderr[-500:]}")
    told = kind == "full disk" or (process.returncode == 130 and (run / NAME).is_file())
    if told and "--resume" not in stderr:
        report.faults.append(f"{kind}: no hint how to go on: {stderr[-500:]}")
    return True


def wait_for_writing(run: Path, process: subprocess.Popen[str], after: int) -> None:
    """Waits until a run writes a file, for the time after so many others."""
    seen: set[Path] = set()
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):  # the folder, tried out and removed
            seen |= (writing := files.unfinished(run))
            if writing and len(seen) > after:
                return
        time.sleep(0.0005)


def differences(reference: Path, directory: Path) -> list[str]:
    """What a run that was interrupted left otherwise than one left alone."""
    left = {p.name for p in directory.iterdir()} ^ {p.name for p in reference.iterdir()}
    if left:
        return [f"{directory.name}: files that only one has: {sorted(left)}"]
    same = {  # of the log no more: times differ
        WEIGHTS: files.sha256,
        LOG: lambda path: path.read_text().count("\n"),
    }
    return [
        f"{directory.name}/{name} differs"
        for name, told in same.items()
        if told(directory / name) != told(reference / name)
    ]


def survive(folder: Path, options: list[str], kills: int, each: int, seed: int = 0) -> Report:
    """Interrupts runs until there were enough interruptions.

    Args:
        folder: For the runs.
        options: Of train.py.
        kills: Interruptions, in all.
        each: Interruptions of a run before it may come to its end.
        seed: Decides moments and kinds.
    """
    report, chance, reference = Report(), random.Random(seed), folder / "reference"
    began = time.monotonic()
    finish(reference, options, report)
    longest = time.monotonic() - began
    runs = (folder / f"run-{number}" for number in itertools.count())
    with tqdm(total=kills, desc="interruptions") as bar:
        while (total := report.kills.total()) < kills and not report.faults:
            run, most = next(runs), min(each, kills - total)
            if all(interrupt(run, options, longest, chance, report) for _ in range(most)):
                finish(run, options, report)
            report.faults += differences(reference, run)
            bar.update(report.kills.total() - total)
    return report


def main() -> None:
    """Interrupts, prints, writes."""
    each, seed = (5, "of one run"), (0, "decides when and how")
    args = options(__doc__, kills=(50, "in all"), each=each, seed=seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = survive(Path(folder), SMALL, args.kills, args.each, args.seed)
    result = {"kills": dict(report.kills), "total": report.kills.total(), "faults": report.faults}
    print("\n".join(f"{kind:<30} {number:>4}" for kind, number in report.kills.items()))
    write(args, "survival", result | {"seed": args.seed, "seconds": time.monotonic() - began})
    if report.faults:
        sys.exit("\n".join(report.faults))
    print(f"All {report.kills.total()} survived: the same weights, nothing left over.")


if __name__ == "__main__":
    main()
