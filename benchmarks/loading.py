"""How long a model takes to load once it lies in the download cache.

    python -m benchmarks.loading

Serves the default model in the hub's protocol on this machine (by the tests' server), fetches it
once, then loads it in fresh processes by its id and from its folder, in turn. Imports are not part
of the time. Writes benchmarks/results/loading.json.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import hub_server  # noqa: E402

from model.utils import files  # noqa: E402
from model.utils.machine import machine, versions  # noqa: E402

ID = "you/cifarnet-small"
SENT = ("config.json", "model.safetensors")
TIMED = """
import sys, time
from model import from_pretrained
began = time.perf_counter()
from_pretrained(sys.argv[1])
print(time.perf_counter() - began)
"""


def loaded(name: str, env: dict[str, str]) -> float:
    """Seconds that `from_pretrained` takes in a fresh process, after imports."""
    line = [sys.executable, "-c", TIMED, name]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="(default: %(default)s)")
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {"first": [], "again": [], "folder": []}
    with hub_server.running() as hub, tempfile.TemporaryDirectory() as home:
        hub.add(ID, {name: (ROOT / name).read_bytes() for name in SENT})
        env = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": home, "HF_HUB_OFFLINE": "0"}
        seconds["first"].append(loaded(ID, env))
        asked = len(hub.asked)
        for _ in range(rounds):
            seconds["again"].append(loaded(ID, env))
            seconds["folder"].append(loaded(".", env))
        later = len(hub.asked) - asked
    result = {
        "seconds": seconds,
        "requests_first": asked,
        "requests_later": later,
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(ROOT / "benchmarks" / "results" / "loading.json", result)
    for name, values in seconds.items():
        print(f"{name:6} median {statistics.median(values):.3f} s, most {max(values):.3f} s")
    print(f"requests: {asked} at first, {later} later")


if __name__ == "__main__":
    main()
