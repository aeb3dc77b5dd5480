"""The model card README.md: every number in it is read from results.json."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from . import card_classifier, card_use
from .card_data import dataset_name, front_matter, hub_id
from .markdown import bullets, escape, table

MOST_ROWS = 20  # of the table of classes before it is folded away
FIGURES = {
    "learning_curves": "Learning curves",
    "confusion_matrix": "Confusion matrix of the test split",
    "reliability": "Stated probability against actual accuracy, as the network comes",
    "reliability_calibrated": "The same as the classifier answers, calibrated",
    "out_of_scope": "How well pictures of something else are told from test images",
    "explanations": "Deletion and insertion curves of the maps",
    "per_class": "Accuracy of each class",
    "confident_mistakes": "The most confident mistakes",
}
SOURCES = (
    "Page, *How to train your ResNet* (2018): whitened first layer, pooling before normalisation.",
    "tysam-code, *hlb-CIFAR10* (2023): whitening computed from the data, GELU, scaled head.",
    "Jordan, *94% on CIFAR-10 in 3.29 seconds on a single GPU* (2024), arXiv:2404.00498: layout, "
    "partial-identity initialisation, alternating flip, test-time augmentation.",
    "Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024).",
    "He et al., *Deep residual learning for image recognition* (2016), arXiv:1512.03385.",
    "Wightman, *PyTorch image models* (timm, 2019).",
)


def model_card(
    results: dict[str, Any],
    config: dict[str, Any],
    *,
    figures: Sequence[str] = (),
    repo_id: str | None = None,
) -> str:
    """Writes the card of a trained model.

    Args:
        results: Content of results.json.
        config: Content of config.json.
        figures: Names of the PNG files that lie in the folder `figures` beside the card.
        repo_id: Where the model is on the hub, if it is.

    Returns:
        Markdown with the front matter that the hub reads.
    """
    size = config["pretrained_cfg"]["input_size"][-1]
    dataset = dataset_name(results)
    sections = [
        f"# {results['model']['architecture']} on {dataset}\n\n{headline_sentence(results, size)}",
        _headline(results),
        "## Classes\n\n" + _per_class(results["test"]["plain"]),
        "## What it confuses\n\n" + _confusions(results["test"]["plain"]),
        *card_classifier.sections(results),
        "## Intended use and limits\n\n" + _limits(results, size),
        "## How to load it\n\n" + card_use.loading(results, size, repo_id),
        "## Training\n\n" + _training(results),
        "## Data\n\n" + _data(results, size),
        "## Figures\n\n" + _figures(figures) if figures else "",
        "## Sources\n\n" + bullets(SOURCES),
        "## Citation\n\n" + card_use.citation(results, repo_id),
    ]
    body = "\n\n".join(section for section in sections if section)
    return str(ModelCard(f"---\n{front_matter(results).to_yaml()}\n---\n\n{body}\n"))


def headline_sentence(results: dict[str, Any], size: int) -> str:
    """The result in two sentences."""
    plain, sizes = results["test"]["plain"], results["dataset"]["sizes"]
    averaged = results["test"]["tta"]["accuracy"]
    return (
        f"A small convolutional network that names what a picture of {size} x {size} pixels shows, "
        f"out of {len(results['dataset']['label_names'])} classes. It is right on "
        f"**{plain['accuracy']:.2%}** of the {plain['count']:,} test images at a single look each, "
        f"and on {averaged:.2%} when it looks at six views of each{_served(results)}, after "
        "training on "
        f"{sizes['train']:,} images for {results['training']['seconds']:,.0f} seconds on "
        f"{_device(results)}. The run looked at the test images only after training."
    )


def _served(results: dict[str, Any]) -> str:
    calibrated = results["test"].get("calibrated")
    if not calibrated:
        return ""
    return (
        f" ({calibrated['accuracy']:.2%} as `Classifier` answers, by an image and its mirror image)"
    )


def _headline(results: dict[str, Any]) -> str:
    views = {
        "plain": "",
        "tta": ", averaged over six views",
        "calibrated": ", as the classifier answers",
    }
    columns = {
        f"{split}{suffix}": results[split][view]
        for split in ("test", "validation")
        for view, suffix in views.items()
        if view in (results[split] or ())
    }
    rows: list[list[str]] = [
        ["accuracy", *(f"{report['accuracy']:.2%}" for report in columns.values())],
        ["top-5 accuracy", *(f"{report['top5_accuracy']:.2%}" for report in columns.values())],
        ["macro F1", *(f"{report['f1_macro']:.4f}" for report in columns.values())],
        ["calibration error (ECE)", *(f"{report['ece']:.2%}" for report in columns.values())],
        ["negative log-likelihood", *(f"{report['nll']:.4f}" for report in columns.values())],
        ["images", *(f"{report['count']:,}" for report in columns.values())],
    ]
    network = results["model"]
    return (
        f"{table(['', *columns], rows)}\n\n"
        f"{network['parameters']:,} parameters, {network['multiply_adds']:,} multiply-adds an "
        "image. Averaging over six views (mirrored, shifted by a pixel) takes six times the work. "
        "Where nothing else is said, numbers below are of a single look."
    )


def _per_class(report: dict[str, Any]) -> str:
    rows = []
    for name, row in report["per_class"].items():
        shares = [f"{row[key]:.1%}" for key in ("recall", "precision")]
        rows.append([name, *shares, f"{row['f1']:.3f}", f"{row['support']:,}"])
    header = ["class", "found (recall)", "right when named (precision)", "F1", "test images"]
    shown = table(header, rows)
    if len(rows) <= MOST_ROWS:
        return shown
    return f"<details><summary>All {len(rows)} classes</summary>\n\n{shown}\n\n</details>"


def _confusions(report: dict[str, Any]) -> str:
    if not report["most_confused"]:
        return "Nothing: every test image was named correctly."
    rows = []
    for pair in report["most_confused"]:
        support = report["per_class"][pair["true"]]["support"]
        share = f"{pair['count'] / support:.1%}"
        rows.append([pair["true"], pair["predicted"], f"{pair['count']:,}", share])
    return table(["shows", "was taken for", "times", "of its images"], rows)


def _limits(results: dict[str, Any], size: int) -> str:
    report = results["test"]["plain"]
    worst = min(report["per_class"], key=lambda name: report["per_class"][name]["recall"])
    found = report["per_class"][worst]["recall"]
    weakest = (
        f"Its weakest class is {escape(worst)}: {found:.1%} of those are found."
        if f"{found:.1%}" != "100.0%"
        else "No class stands out as weak on these test images: nearly all of each are found."
    )
    bins = [row for row in report["reliability"] if row["count"]]
    stated = sum(row["count"] * row["confidence"] for row in bins) / report["count"]
    kind = "below" if stated < report["accuracy"] else "above"
    scope, stranger = results.get("scope"), "still gets one of their names"
    if scope:
        share = scope["as_sent"]["mean"]["accepted"]
        stranger = f"is called one of them in {share:.0%} of the cases tried above"
    return bullets(
        (
            "Meant for teaching, for experiments and as a fast baseline. Not for decisions about "
            "people or safety.",
            f"It knows {len(report['per_class'])} classes and nothing else: a picture of anything "
            f"else {stranger}, at times with a high probability.",
            f"It sees squares scaled to {size} x {size} pixels, the largest centred one first: "
            "what is small or off the centre is easily lost.",
            weakest,
            f"The network's own probabilities average {stated:.1%}, {kind} its accuracy of "
            f"{report['accuracy']:.1%}; bin by bin they are off by {report['ece']:.2%}.",
            "It was measured on images of the same origin as those it learned from. On photos from "
            "elsewhere expect less.",
        )
    )


def _training(results: dict[str, Any]) -> str:
    run, machine = results["training"], results["machine"]
    facts = [
        ("epochs", f"{len(run['epochs'])}"),
        ("time for training and validation", f"{run['seconds']:,.1f} s"),
        ("speed", f"{run['images_per_second']:,.0f} images a second"),
        ("energy", "not measured"),
        ("peak memory", _known(run["peak_memory_mib"], "MiB")),
        ("processes", f"{run.get('processes', 1)}"),
        ("date", run.get("date")),
        ("processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("device", machine["device"]),
        ("memory of the machine", _known(machine["memory_gib"], "GiB")),
        ("system", machine["system"]),
        ("versions", ", ".join(f"{name} {v}" for name, v in results["versions"].items())),
    ]
    recipe = [[f"`{name}`", _value(value)] for name, value in run["recipe"].items()]
    return (
        f"{table(['', 'measured'], [[name, value] for name, value in facts if value])}\n\n"
        "The recipe, which `train.py --from-config config.json` repeats:\n\n"
        f"{table(['option', 'value'], recipe)}"
    )


def _data(results: dict[str, Any], size: int) -> str:
    dataset, known = results["dataset"], hub_id(results)
    name = f"[{known}](https://huggingface.co/datasets/{known})" if known else None
    parts = ", ".join(f"{count:,} {split}" for split, count in dataset["sizes"].items())
    prints = bullets(
        f"fingerprint of the {split} split: `{value}`"
        for split, value in dataset["fingerprint"].items()
    )
    return (
        f"{name or escape(dataset_name(results))}, {parts} images, scaled to {size} x {size} "
        f"pixels. Classes: {', '.join(map(escape, dataset['label_names']))}.\n\n{prints}"
    )


def _figures(names: Iterable[str]) -> str:
    known = [f"{stem}.png" for stem in FIGURES]
    ordered = sorted(names, key=lambda name: (known.index(name) if name in known else 99, name))
    return "\n\n".join(
        f"![{FIGURES.get(Path(name).stem, Path(name).stem)}](figures/{name})" for name in ordered
    )


def _device(results: dict[str, Any]) -> str:
    machine = results["machine"]
    if machine["device"] == "cpu":
        return f"{machine['cores']} processor cores ({machine['cpu']})"
    return machine["device"]


def _known(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:,.1f} {unit}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(":".join(map(str, part)) for part in value)
    return str(value)
