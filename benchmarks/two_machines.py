"""Training on two machines: two network namespaces of this one, each with an address of its own.

    sudo python -m benchmarks.two_machines

Needs Linux, root and `ip` (Debian: iproute2). Starts `accelerate launch --num_machines 2` in each,
on generated pictures; they see each other over a virtual cable only. Checks that both end well and
that one set of files was written, and takes all down again. Writes two_machines.json in
benchmarks/results.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._common import ROOT, options, write
from model.utils import files

ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 29400
PATIENCE = 600  # seconds
INTERFACE = "cable0"  # its name in each namespace
ENV = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": INTERFACE}


def ip(words: str) -> None:
    """Runs `ip WORDS`.

    Raises:
        SystemExit: If it fails; says what is needed.
    """
    try:
        subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("This needs the program ip: install iproute2.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"ip {words}: {error.stderr.strip()} (are you root, on Linux?)")


@contextlib.contextmanager
def cabled() -> Iterator[list[str]]:
    """Two namespaces, joined by a virtual cable; removed in the end."""
    mark = secrets.token_hex(2)
    names = [f"cn{mark}a", f"cn{mark}b"]  # of the ends of the cable, too
    try:
        for name in names:
            ip(f"netns add {name}")
        ip(f"link add {names[0]} type veth peer name {names[1]}")
        for name, address in zip(names, ADDRESSES, strict=True):
            ip(f"link set {name} netns {name} name {INTERFACE}")
            ip(f"-n {name} address add {address}/24 dev {INTERFACE}")
            ip(f"-n {name} link set {INTERFACE} up")
            ip(f"-n {name} link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def together(names: list[str], output: Path) -> str:
    """Runs both machines' parts to their end; what they printed.

    Raises:
        SystemExit: If one of them fails, or takes longer than `PATIENCE`.
    """
    # On a CPU too: accelerate's --cpu would start one process only.
    launch = "-m accelerate.commands.launch --multi_gpu --num_machines 2 --num_processes 2"
    launch += f" --mixed_precision no --dynamo_backend no --main_process_ip {ADDRESSES[0]}"
    launch += f" --main_process_port {PORT} --machine_rank"
    run = ["train.py", "--dataset", "synthetic", "--epochs", "2", "--output", str(output)]
    with contextlib.ExitStack() as stack, tempfile.NamedTemporaryFile() as log:
        parts = []
        for rank, name in enumerate(names):
            line = ["ip", "netns", "exec", name, sys.executable, *launch.split(), str(rank), *run]
            env = {**os.environ, **ENV}
            part = subprocess.Popen(line, cwd=ROOT, env=env, stdout=log, stderr=log)
            stack.callback(part.kill)
            parts.append(part)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for part in parts:
                part.wait(PATIENCE)
        said = Path(log.name).read_text()
        if any(part.poll() != 0 for part in parts):
            sys.exit(said[-6000:])
    return said


def main() -> None:
    """Trains, checks, writes."""
    args = options(__doc__)
    with tempfile.TemporaryDirectory() as folder, cabled() as names:
        output, began = Path(folder) / "run", time.monotonic()
        said = together(names, output)
        seconds = time.monotonic() - began
        results = files.read_json(output / "results.json")
    result = {
        "processes": results["training"]["processes"],
        "accuracy": results["test"]["plain"]["accuracy"],
        "wrote": said.count("Saved in"),
        "seconds": seconds,
    }
    print(result)
    write(args, "two_machines", result)
    if result["wrote"] != 1:
        sys.exit(f"{result['wrote']} processes have written files, one should.")


if __name__ == "__main__":
    main()
