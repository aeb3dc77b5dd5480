"""`python -m model.evaluation`: a model's numbers on a dataset, compared with its results.json."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import data, hub
from ..hub import config, snapshot
from ..inference.calibration import Calibration
from ..options import data_of_run
from ..recipe import DataOptions, Recipe
from ..utils import files
from ..utils.errors import ConfigError, DataError, exit_on_error
from . import figures
from .finish import PIECE
from .report import assemble, evaluate_split

MOST_LISTED = 20  # differing numbers that are printed
COLUMNS = ("image_column", "label_column")


def main(arguments: list[str] | None = None) -> None:
    """Evaluates as the command line asks.

    Raises:
        SystemExit: With code 2 after an error a user can cause, 130 after Ctrl-C.
    """
    args = _parser().parse_args(arguments)
    with exit_on_error():
        _run(args)


def compare(
    reports: dict[str, Any], saved: dict[str, Any] | None, split: str, fingerprint: dict[str, str]
) -> dict[str, Any]:
    """Compares reports of a split with those of results.json, digit by digit.

    Args:
        reports: What `evaluate_split` gave.
        saved: Content of results.json; None if the model has none.
        split: "test", "validation" or "train".
        fingerprint: Of the dataset's part that the split is taken from, under its name.

    Returns:
        status, "identical", "different" or "impossible"; reason, why no comparison is possible;
        and differences, a line for each number that differs.
    """
    reason, differences = "", list[str]()
    if saved is None:
        reason = "the model has no results.json"
    elif not fingerprint.items() <= saved.get("dataset", {}).get("fingerprint", {}).items():
        reason = "results.json tells of another dataset (fingerprints differ)"
    elif not saved.get(split):
        reason = f"results.json has no numbers of the {split} split"
    else:
        told = {name: saved[split].get(name) for name in reports}  # older ones tell of more looks
        differences = _differences(split, reports, told)
    status = "impossible" if reason else "different" if differences else "identical"
    return {"status": status, "reason": reason, "differences": differences}


def _run(args: argparse.Namespace) -> None:
    taken = args.output and args.output.exists()
    if taken and not (args.output.is_dir() and not any(args.output.iterdir())):
        raise ConfigError(f"--output {args.output} is not an empty folder; name a new one.")
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check_device(device)
    folder = snapshot.resolve(args.model, names=(snapshot.WEIGHTS_NAME, hub.RESULTS_NAME))
    network, card = hub.load(folder, device=device)
    ours = card.get("cifarnet") or {}
    source = _open(args, folder, ours.get("data") or {}, network)
    names = list(source.label_names)
    _check_names(source.name, names, list(card.get("label_names") or []))
    calibration = Calibration.from_dict(ours["doubt"], args.model) if ours.get("doubt") else None
    path = folder / hub.RESULTS_NAME
    base = args.split if args.split in source.splits else "train"
    saved = files.read_json(path) if path.is_file() else None
    fingerprint = {base: source.splits[base].fingerprint}
    positions = _positions(args.split, source, ours)
    total = len(source.splits[base].labels if positions is None else positions)
    with tqdm(total=total, unit=" images", file=sys.stderr, dynamic_ncols=True) as bar:
        pieces = source.splits[base].iter_batches(positions, PIECE, device)
        reports = evaluate_split(
            network, pieces, names, calibration=calibration, progress=bar.update
        )
    comparison = compare(reports, saved, args.split, fingerprint)
    sizes = {args.split: reports["plain"]["count"]}
    results = assemble(network, source, [base], sizes, device) | {args.split: reports}
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        figures.write_figures(args.output, results)
        files.write_json(args.output / hub.RESULTS_NAME, results)
    if args.json:
        print(json.dumps(results | {"comparison": comparison}, indent=2))
    else:
        print(table(f"{args.model} on {source.name}, {args.split} split", reports))
        print(_sentence(comparison))


def _open(
    args: argparse.Namespace, folder: Path, saved: dict[str, Any], network: nn.Module
) -> data.ImageDataset:
    """The dataset asked for, by default the one that the model was trained on."""
    settings: Any = network.pretrained_cfg
    size = saved.get("image_size") or settings["input_size"][-1]
    read = DataOptions(args.dataset or "", image_size=size)
    # Of a folder only its own name is published.
    if not args.dataset or saved.get("name") in (args.dataset, Path(args.dataset).resolve().name):
        try:
            read = data_of_run(folder / config.NAME, saved | {"image_size": size})
        except ConfigError:
            if not args.dataset:  # else it is known what to read, whatever a stranger's card says
                raise
    given = {"name": args.dataset} | {key: getattr(args, key) for key in COLUMNS}
    return data.open_for_training(replace(read, **{k: v for k, v in given.items() if v}))


def _check_device(device: str) -> None:
    try:
        torch.zeros((), device=device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--device {device} cannot be used ({reason}); leave it out.") from None


def _check_names(dataset: str, names: list[str], known: list[str]) -> None:
    if known and names != known:
        here, there = (f"{', '.join(some[:12])} ({len(some)} in all)" for some in (names, known))
        raise DataError(
            f"The dataset {dataset} has the classes {here}, but the model knows {there}, in this "
            "order; evaluate it on a dataset with its own classes."
        )


def _positions(split: str, source: data.ImageDataset, ours: dict[str, Any]) -> Tensor | None:
    """Rows of the training data that are the validation or training split; None: all rows."""
    if split == "test" or "validation" in source.splits:
        return None
    if "recipe" not in ours:
        raise ConfigError(
            "The model's config.json holds no recipe, so its validation split is unknown; "
            "use --split test."
        )
    recipe = Recipe.from_dict(ours["recipe"])
    if source.splits["train"].fingerprint != (ours.get("data") or {}).get("fingerprint"):
        raise DataError(
            f"The training images of {source.name} are not those that the model was trained on "
            f"(fingerprints differ), so its {split} split cannot be rebuilt; use --split test."
        )
    train, held_back = data.train_validation_split(
        source.splits["train"].labels, recipe.val_size, recipe.seed
    )
    if split == "validation" and len(held_back) == 0:
        raise DataError("The model was trained on all images (val_size 0); use --split test.")
    return held_back if split == "validation" else train


def _differences(path: str, here: Any, there: Any) -> list[str]:
    """A line for each value that differs between two nested structures."""
    if isinstance(here, dict) and isinstance(there, dict):
        pairs: Any = [(key, here.get(key), there.get(key)) for key in {**here, **there}]
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        pairs = [(i, *pair) for i, pair in enumerate(zip(here, there, strict=True))]
    else:
        return [] if here == there else [f"{path}: {here} here, {there} in results.json"]
    return [line for key, a, b in pairs for line in _differences(f"{path}.{key}", a, b)]


def table(title: str, reports: dict[str, Any]) -> str:
    """Reports as text: the main numbers, then each class at a single look."""
    columns = {"plain": "plain", "calibrated": "calibrated"}
    shown = [reports[name] for name in columns if name in reports]
    plain = reports["plain"]
    heads = [columns[name] for name in columns if name in reports]
    lines = [f"{title}: {plain['count']:,} images", ""]
    lines.append(f"{'':<20}" + "".join(f"{head:>12}" for head in heads))
    for key, name in (
        ("accuracy", "accuracy"),
        ("top5_accuracy", "top-5 accuracy"),
        ("f1_macro", "macro F1"),
        ("ece", "calibration error"),
    ):
        if key != "top5_accuracy" or len(plain["per_class"]) > 5:
            lines.append(f"{name:<20}" + "".join(f"{report[key]:>12.2%}" for report in shown))
    lines.append(f"{'log loss (nats)':<20}" + "".join(f"{one['nll']:>12.4f}" for one in shown))
    width = max(20, *(len(name) + 2 for name in plain["per_class"]))
    lines += ["", f"{'class':<{width}}{'precision':>10}{'recall':>10}{'F1':>10}{'images':>8}"]
    for name, row in plain["per_class"].items():
        numbers = f"{row['precision']:>10.2%}{row['recall']:>10.2%}{row['f1']:>10.2%}"
        lines.append(f"{name:<{width}}{numbers}{row['support']:>8,}")
    return "\n".join([*lines, ""])


def _sentence(comparison: dict[str, Any]) -> str:
    if comparison["status"] == "identical":
        return "identical to results.json"
    if comparison["reason"]:
        return f"no comparison with results.json is possible: {comparison['reason']}"
    found = comparison["differences"]
    lines = [f"{len(found)} number(s) differ from results.json:", *found[:MOST_LISTED]]
    if len(found) > MOST_LISTED:
        lines.append(f"... and {len(found) - MOST_LISTED} more")
    return "\n  ".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Evaluates a model and says whether results.json tells the same numbers.",
    )
    add = parser.add_argument
    add("model", help="folder of a model, or its id on the hub")
    add(
        "--dataset",
        metavar="DIR_OR_ID",
        help="hub id, local folder or 'synthetic' (default: what the model was trained on)",
    )
    add("--split", choices=("test", "validation", "train"), default="test")
    add("--image-column", help="column of the images (default: as in training, or found)")
    add("--label-column", help="column of the labels (default: as in training, or found)")
    add("--device", help="such as cpu or cuda (default: a GPU if there is one)")
    add("--json", action="store_true", help="print everything as one JSON object")
    add("--output", type=Path, metavar="DIR", help="also write results.json and figures there")
    return parser


if __name__ == "__main__":
    main()
