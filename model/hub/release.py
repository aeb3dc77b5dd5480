"""`python -m model.hub.release runs/NAME`: makes a run's model the default one at the root.

Without a run, only the measured parts of README.md are written again.
"""

import argparse
import re
from pathlib import Path

from ..utils import files
from ..utils.errors import ConfigError, exit_on_error
from ..utils.root import ROOT
from . import card, config
from .pretrained import CARD_NAME, RESULTS_NAME, from_pretrained, public_figures
from .snapshot import WEIGHTS_NAME

TEMPLATE = "measured.md.jinja"
# Front matter by which the folder is a Space too; it is written by hand, and kept.
SPACE_KEYS = (
    "title|emoji|colorFrom|colorTo|sdk|sdk_version|python_version|app_file|pinned|short_description"
)
BENCHMARKS = Path("benchmarks/results")


def release(run: Path, root: Path = ROOT) -> None:
    """Copies a finished run's model, results and figures to the root and rewrites README.md.

    Raises:
        ConfigError: If the run is not finished.
        WeightsError: If its weights are damaged.
    """
    from_pretrained(run)  # refuse what cannot be loaded before anything is replaced
    text = readme(root, run)
    (root / "figures").mkdir(exist_ok=True)
    names = (*public_figures(run), WEIGHTS_NAME, RESULTS_NAME, config.NAME)
    contents = {root / name: (run / name).read_bytes() for name in names}
    files.write_together({**contents, root / CARD_NAME: text.encode()})


def readme(root: Path = ROOT, run: Path | None = None) -> str:
    """README.md as it should be: its hand-written text with the measured parts filled in.

    Args:
        root: Folder with README.md.
        run: Folder with config.json, results.json and figures; None takes the root.
    """
    run = run or root
    results, settings = files.read_json(run / RESULTS_NAME), config.load(run / config.NAME)
    parts = {
        "summary": card.model_card(results, settings, block="summary"),
        "card": card.model_card(results, settings, figures=public_figures(run), block="body"),
        **measured(root / BENCHMARKS),
    }
    text = (root / CARD_NAME).read_text(encoding="utf-8")
    old, text = re.match(r"(---\n.*?\n---\n)?(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]
    kept = "".join(re.findall(rf"^(?:{SPACE_KEYS}):.*\n", old, re.MULTILINE))
    front = card.front_matter(results).to_yaml()
    return fill(f"---\n{kept}{front}\n---\n{text}", parts, CARD_NAME)


def measured(results: Path) -> dict[str, str]:
    """What the benchmarks measured, in Markdown, by the name of its place in README.md.

    Args:
        results: Folder of the benchmarks' JSON files; what is not there is left out.
    """
    values = {path.stem: files.read_json(path) for path in results.glob("*.json")}
    texts = {"speed": card.render(TEMPLATE, values, "sentences")}
    for place, source in (("recipes", "speed"), ("finetune", "finetune")):
        if source in values:
            texts[place] = card.render(TEMPLATE, values, place)
    return {place: text for place, text in texts.items() if text}


def fill(text: str, parts: dict[str, str], name: str) -> str:
    """Puts measured parts between their marks <!-- PART --> and <!-- /PART -->.

    Raises:
        ConfigError: If a part's place is not marked; `name` is that of the file.
    """
    for part, content in parts.items():
        marked = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
        if not marked.search(text):
            raise ConfigError(f"{name} lacks the marks <!-- {part} --> and <!-- /{part} -->.")
        text = marked.sub(lambda found, new=content: found[1] + new + "\n" + found[2], text)  # type: ignore[misc]
    return text


def main() -> None:
    """Releases the run named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m model.hub.release", description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", help="folder of a finished run")
    args = parser.parse_args()
    with exit_on_error():
        if args.run is None:
            files.write_text(ROOT / CARD_NAME, readme())
            print("README.md has been written again.")
        else:
            release(args.run)
            print(f"{args.run} is the default model now; look at README.md, then commit.")


if __name__ == "__main__":
    main()
