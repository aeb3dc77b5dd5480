"""What the benchmarks measured, as parts of README.md: `measured.md.jinja`, never by hand."""

from pathlib import Path
from typing import Any

from ..utils import files
from .card import render

TEMPLATE = "measured.md.jinja"


def parts(results: Path) -> dict[str, str]:
    """Markdown by the name of its place in README.md.

    Args:
        results: Folder of the benchmarks' JSON files; what is not there is left out.
    """
    names = ("speed", "inference", "commands", "startup", "scaling")
    paths = {name: results / f"{name}.json" for name in names}
    values = {name: files.read_json(path) for name, path in paths.items() if path.is_file()}
    found = {}
    if "speed" in values:
        found["recipes"] = render(TEMPLATE, values | _recipes(values["speed"]), "recipes")
    if sentences := render(TEMPLATE, values, "sentences"):
        found["speed"] = sentences
    return found


def _recipes(speed: dict[str, Any]) -> dict[str, Any]:
    """The recipes that were timed, the quickest first, and the number format of their runs."""
    timed = [(name, row) for name, row in speed["recipes"].items() if row["seconds"] is not None]
    used = {run["resolved"]["mixed_precision"] for runs in speed["runs"].values() for run in runs}
    spoken = {"bf16": "bfloat16", "fp16": "float16", "no": "float32"}
    return {
        "recipes": sorted(timed, key=lambda one: one[1]["seconds"]),
        "precision": ", ".join(spoken.get(name, name) for name in sorted(used)),
    }
