"""How long commands take to answer, against importing the libraries that they rest on.

    python -m benchmarks.commands

`python -m model` names a picture, `app.py` serves its page; each in a new process, in turn with the
bare imports. Let nothing else run beside it. Writes benchmarks/results/commands.json and
commands.png.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks._common import ROOT
from model.evaluation import style
from model.utils import files
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "commands"
PICTURE = str(ROOT / "examples" / "ship.png")
PAIRS = {  # command: what it is compared with
    "python -m model ship.png": "import torch, timm",
    "python app.py": "import torch, timm, gradio",
}


def whole(*arguments: str) -> float:
    """Seconds of a Python command from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def page() -> float:
    """Seconds from `python app.py` to the page in hand."""
    began = time.perf_counter()
    line = [sys.executable, "app.py"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = next((line for line in process.stdout if "The page is at" in line), None)
        if told is None:
            sys.exit("app.py ended early.")
        url = told.split("The page is at ")[1].split()[0]
        urllib.request.urlopen(url, timeout=60).read()
        seconds = time.perf_counter() - began
        process.terminate()
    return seconds


def plot(rows: dict[str, list[float]], ratios: dict[str, float]) -> Figure:
    """A bar for each, with every round as a dot."""
    told = ", ".join(f"{value:.2f} times for {name}" for name, value in ratios.items())
    title = "Start-up against bare imports"
    figure = style.headed_figure(7.2, 3.0, title, f"Medians: {told}.")
    axes = figure.subplots()
    for i, values in enumerate(rows.values()):
        axes.barh(i, statistics.median(values), color=style.BLUE if i % 2 else style.GRID)
        axes.plot(values, [i] * len(values), ".", color=style.INK, alpha=0.6)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of each (default: %(default)s)")
    args = parser.parse_args()
    classify, serve = PAIRS
    asked: dict[str, Callable[[], float]] = {
        PAIRS[classify]: partial(whole, "-c", PAIRS[classify]),
        classify: partial(whole, "-m", "model", PICTURE),
        PAIRS[serve]: partial(whole, "-c", PAIRS[serve]),
        serve: page,
    }
    for run in asked.values():
        run()  # files come into the system's cache
    rows: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(args.rounds):
        for name, run in asked.items():
            rows[name].append(run())
    medians = {name: statistics.median(values) for name, values in rows.items()}
    ratios = {name: medians[name] / medians[bare] for name, bare in PAIRS.items()}
    content: dict[str, Any] = {"unit": "seconds", "rounds": rows, "ratios": ratios}
    content |= {"machine": machine(), "versions": versions()}
    content["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    files.write_json(TARGET.with_suffix(".json"), content)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(rows, ratios), TARGET.with_suffix(".png"))
    for name, value in medians.items():
        print(f"{name:<30} {value:5.2f} s")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times {PAIRS[name]}")


if __name__ == "__main__":
    main()
