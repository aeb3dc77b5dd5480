"""How long commands take to answer, against importing the libraries that they rest on.

    python -m benchmarks.commands

`python -m model` names a picture, `app.py` serves its page; each in a new process, in turn with the
bare imports. Let nothing else run beside it. Writes commands.json in benchmarks/results.
"""

import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial

from benchmarks._common import ROOT, in_turn, options, started, timed, write

PAIRS = {  # command: what it is compared with
    "python -m model ship.png": "import torch, timm",
    "python app.py": "import torch, timm, gradio",
}


def whole(*arguments: str) -> Callable[[], float]:
    """A Python command from start to end, for its seconds."""
    line = [sys.executable, *arguments]
    return timed(partial(subprocess.run, line, cwd=ROOT, check=True, stdout=subprocess.DEVNULL))


def page() -> float:
    """Seconds from `python app.py` to the page in hand."""
    began = time.perf_counter()
    with started("app.py") as (_, url):
        urllib.request.urlopen(url, timeout=60).read()
        return time.perf_counter() - began


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, rounds=(7, "of each"))
    classify, serve = PAIRS
    asked = {
        PAIRS[classify]: whole("-c", PAIRS[classify]),
        classify: whole("-m", "model", str(ROOT / "examples" / "ship.png")),
        PAIRS[serve]: whole("-c", PAIRS[serve]),
        serve: page,
    }
    rows = in_turn(asked, args.rounds)
    medians = {name: statistics.median(values) for name, values in rows.items()}
    ratios = {name: medians[name] / medians[bare] for name, bare in PAIRS.items()}
    print(*(f"{name:<30} {value:5.2f} s" for name, value in medians.items()), sep="\n")
    print(", ".join(f"{value:.2f} times for {name}" for name, value in ratios.items()))
    write(args, "commands", {"unit": "seconds", "rounds": rows, "ratios": ratios})


if __name__ == "__main__":
    main()
