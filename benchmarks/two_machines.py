"""Training on two machines: two network namespaces of this one, each with an address of its own.

    sudo python -m benchmarks.two_machines

Needs Linux, root and `ip` (Debian: iproute2). Starts `accelerate launch --num_machines 2` in each,
on generated pictures; they see each other over a virtual cable only. Checks that both end well and
that one set of files was written, and takes all down again. Writes
benchmarks/results/two_machines.json.
"""

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT
from model.utils import files
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "two_machines.json"
ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 29400
PATIENCE = 600  # seconds
INTERFACE = "cable0"  # its name in each namespace


def ip(*words: str) -> None:
    """Runs `ip WORDS`.

    Raises:
        SystemExit: If it fails; says what is needed.
    """
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("This needs the program ip: install iproute2.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"ip {' '.join(words)}: {error.stderr.strip()} (are you root, on Linux?)")


@contextlib.contextmanager
def cabled() -> Iterator[tuple[str, str]]:
    """Two namespaces, joined by a virtual cable; removed in the end."""
    mark = secrets.token_hex(2)
    names = (f"cifarnet-{mark}-a", f"cifarnet-{mark}-b")
    ends = (f"cn{mark}a", f"cn{mark}b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name, "name", INTERFACE)
            ip("-n", name, "address", "add", f"{address}/24", "dev", INTERFACE)
            ip("-n", name, "link", "set", INTERFACE, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def line(namespace: str, rank: int, output: Path, options: list[str]) -> list[str]:
    """The command of one machine's part of a training run."""
    found = ["ip", "netns", "exec", namespace, sys.executable, "-m", "accelerate.commands.launch"]
    # On a CPU too: accelerate's --cpu would start one process only.
    found += ["--multi_gpu", "--num_machines", "2", "--num_processes", "2"]
    found += ["--machine_rank", str(rank), "--mixed_precision", "no", "--dynamo_backend", "no"]
    found += ["--main_process_ip", ADDRESSES[0], "--main_process_port", str(PORT)]
    return [*found, "train.py", "--dataset", "synthetic", "--output", str(output), *options]


def together(names: tuple[str, str], output: Path, options: list[str]) -> list[str]:
    """Runs both machines' parts to their end; what each of them printed.

    Raises:
        SystemExit: If one of them fails, or takes longer than `PATIENCE`.
    """
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    env |= {"GLOO_SOCKET_IFNAME": INTERFACE}
    logs = [output.with_name(f"log-{rank}") for rank in range(2)]
    parts = []
    try:
        for rank, (name, log) in enumerate(zip(names, logs, strict=True)):
            asked = line(name, rank, output, options)
            with log.open("w") as file:
                part = subprocess.Popen(asked, cwd=ROOT, env=env, stdout=file, stderr=file)
            parts.append(part)
        codes = [part.wait(PATIENCE) for part in parts]
    except subprocess.TimeoutExpired:
        codes = [1]
    finally:
        for part in parts:
            part.kill()
    said = [log.read_text() for log in logs]
    if any(codes):
        sys.exit("\n\n".join(text[-3000:] for text in said))
    return said


def main() -> None:
    """Trains, checks, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", default="2", help="default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cabled() as names:
        output, began = Path(folder) / "run", time.monotonic()
        said = together(names, output, ["--epochs", args.epochs])
        seconds = time.monotonic() - began
        results = files.read_json(output / "results.json")
    saved = sum(text.count("Saved in") for text in said)
    if saved != 1:
        sys.exit(f"{saved} processes have written files, one should.")
    result: dict[str, Any] = {
        "processes": results["training"]["processes"],
        "accuracy": results["test"]["plain"]["accuracy"],
        "wrote": saved,
        "seconds": seconds,
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET, result)
    print(json.dumps({k: result[k] for k in ("processes", "accuracy", "wrote", "seconds")}))


if __name__ == "__main__":
    main()
