"""Kills training again and again, at random moments, and resumes it: the weights must not notice.

    python -m benchmarks.survival

Each run of train.py on generated pictures is interrupted by signals, in the middle of writing its
checkpoint, and by a disk that is full, and resumed after each; in the end its weights must be those
of a run that was left alone, bit for bit, and no file may be left over. Writes
benchmarks/results/survival.json.
"""

import argparse
import contextlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks._common import ROOT
from model.checkpoint import NAME
from model.utils import files
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "survival.json"
SMALL = ["--dataset", "synthetic", "--recipe", "tiny", "--network", "cifarnet_nano"]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
PATIENCE = 300.0  # seconds until a run that neither ends nor gets on counts as stuck


@dataclass
class Report:
    """What became of the interruptions."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What should not have been: tracebacks, missing hints, other weights, left-over files."""


@dataclass
class Patient:
    """A run that is interrupted.

    Args:
        directory: Of the run.
        options: With which it starts.
        chance: Decides when and how.
        report: Where kills and faults are noted.
    """

    directory: Path
    options: list[str]
    chance: random.Random
    report: Report

    def start(self, full_disk: bool = False) -> subprocess.Popen[str]:
        """Starts the run, or takes it up."""
        resume = (self.directory / NAME).is_file()
        asked = ["--resume"] if resume else [*self.options, "--output"]

        def limit() -> None:  # writing more than this fails, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        return subprocess.Popen(
            [sys.executable, "train.py", *asked, str(self.directory)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit if full_disk else None,
        )

    def interrupt(self, longest: float) -> bool:
        """Lets the run go on for a while and interrupts it.

        Args:
            longest: Seconds that a run takes when it is left alone.

        Returns:
            Whether it was interrupted before it came to its end.
        """
        kind = self.chance.choice(["any moment", "any moment", "while writing", "full disk"])
        if kind == "full disk" and not (self.directory / NAME).is_file():
            kind = "any moment"  # nothing of the run would be there to resume
        process = self.start(full_disk=kind == "full disk")
        sign = self.chance.choice(SIGNALS)
        if kind == "any moment":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.chance.uniform(0, longest))
        elif kind == "while writing":
            self._wait_for_writing(process, after=self.chance.randrange(4))
        if kind != "full disk":
            process.send_signal(sign)
        stderr = process.communicate(timeout=PATIENCE)[1]
        if process.returncode == 0:
            return False
        self.report.kills[kind if kind == "full disk" else f"{sign.name}, {kind}"] += 1
        self._judge(kind, sign, process.returncode, stderr)
        return True

    def _wait_for_writing(self, process: subprocess.Popen[str], after: int) -> None:
        """Waits until the run writes a file, for the time after so many others."""
        seen: set[str] = set()
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            names: set[str] = set()
            with contextlib.suppress(FileNotFoundError):  # the folder, tried out and removed
                names = {path.name for path in files.unfinished(self.directory)}
            seen |= names
            if names and len(seen) > after:
                return
            time.sleep(0.0005)

    def _judge(self, kind: str, sign: signal.Signals, code: int, stderr: str) -> None:
        started = (self.directory / NAME).is_file()
        if "in main\n" in stderr:  # of a traceback; those while libraries load are Python's own
            self.report.faults.append(f"{kind}, {sign.name}: a traceback: {stderr[-500:]}")
        told = kind == "full disk" or (sign != signal.SIGKILL and started and code == 130)
        if told and "--resume" not in stderr:
            self.report.faults.append(f"{kind}, {sign.name}: no hint how to go on: {stderr[-500:]}")

    def finish(self) -> None:
        """Lets the run come to its end."""
        process = self.start()
        stderr = process.communicate(timeout=PATIENCE)[1]
        if process.returncode:
            self.report.faults.append(f"it could not be resumed: {stderr[-500:]}")


def compare(reference: Path, directory: Path, report: Report) -> None:
    """Notes every difference between a run left alone and one that was interrupted."""
    for name in ("model.safetensors", "log.jsonl"):
        one, other = reference / name, directory / name
        if name == "log.jsonl":  # times differ
            same = other.is_file() and _lines(one) == _lines(other)
        else:
            same = other.is_file() and files.sha256(one) == files.sha256(other)
        if not same:
            report.faults.append(f"{directory.name}/{name} differs")
    left = {p.name for p in directory.iterdir()} ^ {p.name for p in reference.iterdir()}
    if left:
        report.faults.append(f"{directory.name}: files that only one has: {sorted(left)}")


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def survive(folder: Path, options: list[str], kills: int, each: int, seed: int = 0) -> Report:
    """Interrupts runs until there were enough interruptions.

    Args:
        folder: For the runs.
        options: Of train.py.
        kills: Interruptions, in all.
        each: Interruptions of a run before it may come to its end.
        seed: Decides moments and kinds.
    """
    report, chance = Report(), random.Random(seed)
    reference = Patient(folder / "reference", options, chance, report)
    began = time.monotonic()
    reference.finish()
    longest = time.monotonic() - began
    count = 0
    with tqdm(total=kills, desc="interruptions") as bar:
        while report.kills.total() < kills and not report.faults:
            patient = Patient(folder / f"run-{count}", options, chance, report)
            for _ in range(min(each, kills - report.kills.total())):
                if not patient.interrupt(longest):
                    break
                bar.update()
            else:
                patient.finish()
            compare(reference.directory, patient.directory, report)
            count += 1
    return report


def main() -> None:
    """Interrupts, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="in all (default: %(default)s)")
    parser.add_argument("--each", type=int, default=5, help="of one run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides when and how (default: 0)")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = survive(Path(folder), SMALL, args.kills, args.each, args.seed)
    result: dict[str, Any] = {
        "kills": dict(report.kills),
        "total": report.kills.total(),
        "faults": report.faults,
        "seed": args.seed,
        "seconds": time.monotonic() - began,
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET, result)
    print("\n".join(f"{kind:<30} {number:>4}" for kind, number in report.kills.items()))
    if report.faults:
        sys.exit("\n".join(report.faults))
    print(f"All {report.kills.total()} survived: the same weights, nothing left over.")


if __name__ == "__main__":
    main()
