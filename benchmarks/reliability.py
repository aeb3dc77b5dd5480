"""Writes the measured parts of RELIABILITY.md from the results of the other benchmarks.

python -m benchmarks.reliability
"""

from pathlib import Path
from typing import Any

import timm

from benchmarks._common import RESULTS, ROOT, where
from benchmarks.hostile import LARGE, SLOW
from model.hub.card import environment
from model.hub.release import fill
from model.recipe import RECIPES
from model.utils import files, images
from web import api, archive, guard, lessons, models, page, trainings, uploads

PAGE = ROOT / "RELIABILITY.md"
TEMPLATE = Path(__file__).with_name("reliability.md.jinja")
MEASURED = ("survival", "memory", "two_machines", "load", "hostile", "fuzz")
NOT_MEASURED = "Not measured yet."
LIMITS = (api, archive, guard, images, lessons, models, page, trainings, uploads)


def render(block: str, values: dict[str, Any]) -> str:
    """A block of the template."""
    template = environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    return "".join(template.blocks[block](template.new_context(values))).strip()


def weights() -> dict[str, Any]:
    """The largest network of a recipe, and how many MiB its weights take."""
    networks = {one.network for one in RECIPES.values()}
    sizes = {
        sum(weight.numel() for weight in timm.create_model(name).parameters()): name
        for name in networks
    }
    return {"network": sizes[max(sizes)], "weights_mib": 4 * max(sizes) / 2**20}


def sentence(name: str, measured: dict[str, Any]) -> str:
    """What a result says."""
    return render(name, measured | {"time": _time, "SLOW": SLOW, "LARGE": LARGE})


def written(text: str, results: Path = RESULTS) -> str:
    """RELIABILITY.md with what is measured filled in."""
    limits = {module.__name__.rpartition(".")[2]: module for module in LIMITS}
    parts = {"limits": render("limits", limits), "weights": render("weights", weights())}
    for name in MEASURED:
        parts[name] = NOT_MEASURED
        if (path := results / f"{name}.json").is_file():
            measured = files.read_json(path)
            about = f"{measured['date']}, {where(measured['machine'])}"
            parts[name] = f"{sentence(name, measured)}\n\n({about}, `python -m benchmarks.{name}`)"
    return fill(text, parts, PAGE.name)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def main() -> None:
    """Reads, writes."""
    files.write_text(PAGE, written(PAGE.read_text(encoding="utf-8")))
    print(f"{PAGE.name} has been written again.")


if __name__ == "__main__":
    main()
