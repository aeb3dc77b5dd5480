"""The end of a run: the one look at the test split, and everything that is saved."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import distort, hub
from ..data import LabelledImages, TrainingData
from ..inference.calibration import Calibration
from ..inference.logits import both_views, predict
from ..recipe import RECIPES, DataOptions, Recipe
from ..utils.files import public_name
from ..utils.root import ROOT
from ..utils.shares import interval, stands_out
from . import figures
from .report import assemble, both_reports, evaluate_split

DISTORTED = 500  # images, at least: among fewer, one sure mistake may leave nothing confident
PIECE = 5000  # images of the test split at a time: bounded memory whatever its size


def measure_and_save(
    network: nn.Module,
    directory: Path,
    data: TrainingData,
    options: DataOptions,
    recipe: Recipe,
    device: torch.device,
    trained: dict[str, Any],
) -> dict[str, Any]:
    """All that comes after the last epoch: calibration, the test split, and what is written.

    Args:
        network: The result of training.
        directory: Of the run.
        data: What it was trained on; its test split is shown to the network here for the first
            time.
        options: As resolved for this run.
        recipe: As resolved for this run.
        device: Where the network runs.
        trained: What happened so far, for results.json: `epochs`, a row each; `seconds` spent in
            training and validation; `peak_memory_mib`, of the first process; the `machine` that
            trained, see `utils.machine`, as the one that measures may be another; `processes`; and
            `bad_images`, rows of the training split that could not be decoded.

    Returns:
        The content of results.json.
    """
    calibration = validation = None
    if held_back := data.validation:
        plain, mean = predict(network, held_back.images, both_views)  # (N, C), (N, C)
        calibration = fit_calibration(network, held_back, mean)
    # What training gave is safe before the test split has a chance to fail.
    save(network, directory, data, options, recipe, calibration)
    names = data.dataset.label_names
    pieces = data.dataset.splits["test"].iter_batches(None, PIECE, device)
    test = evaluate_split(network, pieces, names, calibration=calibration)
    if held_back:
        labels, rows = held_back.labels.cpu(), held_back.indices.cpu()
        validation = both_reports(plain, mean, labels, rows, names, calibration)
    images = data.sizes["train"] * trained["epochs"][-1]["epoch"]
    sizes = {**data.sizes, "test": test["plain"]["count"]}
    results = assemble(network, data.dataset, data.dataset.splits, sizes, device) | {
        "validation": validation,
        "test": test,
        "calibration": calibration and validation and _calibration(calibration, validation, test),
        "training": trained
        | {
            "recipe": recipe.to_dict(),
            "seconds": round(trained["seconds"], 2),
            "images_per_second": round(images / trained["seconds"], 1),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        },
    }
    save(network, directory, data, options, recipe, calibration, results)
    return results


def fit_calibration(network: nn.Module, held_back: LabelledImages, logits: Tensor) -> Calibration:
    """Fits temperature and thresholds on the validation images.

    Args:
        network: On any device, in any mode.
        held_back: The N images.
        logits: Of each, the mean of image and mirror image, (N, C).
    """
    images = held_back.images  # (N, 3, S, S)
    # As photographs might be, whatever the recipe trained for: people will bring some. Of few
    # images, each in many ways.
    shares = distort.shares_of(RECIPES["robust"])
    random = torch.Generator(images.device).manual_seed(0)
    copies = images.repeat(-(-DISTORTED // len(images)), 1, 1, 1)  # (k * N, 3, S, S)
    parts = [distort.distort(part, shares, random).round().byte() for part in copies.split(1000)]
    worse = predict(network, torch.cat(parts), both_views)[1]  # (k * N, C)
    return Calibration.fit(logits, held_back.labels.cpu(), worse)


def _calibration(
    calibration: Calibration, validation: dict[str, Any], test: dict[str, Any]
) -> dict[str, Any]:
    """How far a classifier's answers can be believed, in short."""

    def short(split: dict[str, Any], *names: str) -> dict[str, Any]:
        return {name: split["calibrated"][name] for name in names}

    return {
        "temperature": calibration.temperature,
        "images": validation["calibrated"]["count"],
        "validation": short(validation, "accuracy", "ece", "nll"),
        "test": short(test, "accuracy", "ece", "nll", "reliability"),
        "confident": test["calibrated"]["confident"],
    }


def save(
    network: nn.Module,
    directory: Path,
    data: TrainingData,
    options: DataOptions,
    recipe: Recipe,
    calibration: Calibration | None,
    results: dict[str, Any] | None = None,
) -> None:
    """Writes the hub's layout: weights, the config card and, of results, figures and model card."""
    dataset = data.dataset
    extra = {
        "recipe": recipe.to_dict(),
        "data": {
            "name": dataset.name,
            "image_column": dataset.image_column,
            "label_column": dataset.label_column,
            "image_size": options.image_size,
            "cached": data.cached,
            "max_bad_images": options.max_bad_images,
            "outliers": options.outliers and public_name(options.outliers),
            "init_from": options.init_from and _began_with(options.init_from),
            "fingerprint": dataset.splits["train"].fingerprint,
        },
    }
    if calibration:
        extra["doubt"] = calibration.to_dict()
    if results:
        figures.write_figures(directory, results)
    names = list(dataset.label_names)
    hub.save_pretrained(network, directory, label_names=names, results=results, extra=extra)


def _began_with(model: str) -> str:
    """What may be published of a saved model's name; "." are the default weights, as in README."""
    return "." if Path(model).resolve() == ROOT else public_name(model)


def summary(results: dict[str, Any]) -> str:
    """The short table a run ends with."""
    plain = results["test"]["plain"]
    classes = plain["per_class"]
    low, high = interval(plain["accuracy"], plain["count"])
    bounds = f"95% interval {low:.1%} to {high:.1%}, of {plain['count']:,} images"
    rows = [
        ("test accuracy", f"{plain['accuracy']:.2%}  ({bounds})"),
        ("calibration error", f"{plain['ece']:.2%}"),
    ]
    if calibrated := results["test"].get("calibrated"):
        rows.insert(1, ("  as the classifier answers", f"{calibrated['accuracy']:.2%}"))
        rows.append(("  once calibrated", f"{calibrated['ece']:.2%}"))
    if stands_out(classes.values()):
        worst = min(classes, key=lambda name: classes[name]["recall"])
        rows.append(("worst class", f"{worst} ({classes[worst]['recall']:.1%} found)"))
    rows.append(("training time", f"{results['training']['seconds']:,.1f} s"))
    if (peak := results["training"]["peak_memory_mib"]) is not None:
        rows.append(("peak memory", f"{peak:,.0f} MiB"))
    if bad := results["training"]["bad_images"]:
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        rows.append(("images left out", f"{len(bad)} that cannot be decoded: {shown}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
