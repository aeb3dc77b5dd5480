"""The model card README.md: `card.md.jinja`, filled from results.json and config.json."""

import functools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from ..utils.shares import interval, stands_out
from .snapshot import HUB_ID

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "card.md.jinja"
KIND: dict[str, Any] = {
    "library_name": "timm",
    "license": "apache-2.0",
    "pipeline_tag": "image-classification",
    "tags": ["image-classification", "timm", "pytorch", "safetensors", "cifarnet"],
}
FIGURES = {  # that may be published, with their titles, in the card's order
    "figures/learning_curves.png": "Learning curves",
    "figures/confusion_matrix.png": "Confusion matrix of the test split",
    "figures/reliability.png": "Stated probability against actual accuracy, as the network comes",
    "figures/reliability_calibrated.png": "The same as the classifier answers, calibrated",
    "figures/corruptions.png": "Accuracy on damaged pictures",
    "figures/out_of_scope.png": "How well pictures of something else are told from test images",
    "figures/explanations.png": "Deletion and insertion curves of the maps",
    "figures/per_class.png": "Accuracy of each class",
}


def model_card(
    results: dict[str, Any] | None,
    config: dict[str, Any],
    *,
    figures: Sequence[str] = (),
    repo_id: str | None = None,
    block: str | None = None,
) -> str:
    """Writes the card of a trained model, in Markdown with the front matter that the hub reads.

    Args:
        results: Content of results.json; None gives a card that claims nothing.
        config: Content of config.json.
        figures: Those of `FIGURES` that lie beside the card.
        repo_id: Where the model is on the hub, if it is.
        block: Only this part of the card: "summary" or "body".
    """
    name = results and results["dataset"]["name"]
    known = results and hub_id(results)
    values = {
        "config": config,
        "results": results,
        "repo_id": repo_id,
        "place": repo_id or "MODEL",
        "size": config["pretrained_cfg"]["input_size"][-1],
        "dataset": {
            "id": known,
            "name": name,
            "argument": known or ("synthetic" if name == "synthetic" else "DATASET_FOLDER"),
        },
        "front_matter": (front_matter(results) if results else ModelCardData(**KIND)).to_yaml(),
        "figures": [(name, FIGURES[name]) for name in figures],
    }
    return render(TEMPLATE, values, block)


def render(template: str, values: dict[str, Any], block: str | None = None) -> str:
    """Fills a template of this folder, or one block of it.

    Raises:
        KeyError: If a value is missing; the card would have a gap.
    """
    from jinja2 import UndefinedError  # whoever only loads a model does not wait for jinja2

    found = environment().get_template(template)
    try:
        if block is None:
            return found.render(values) + "\n"
        return "".join(found.blocks[block](found.new_context(values))).strip()
    except UndefinedError as error:
        raise KeyError(error.message) from None


@functools.cache
def environment() -> "Environment":
    """Where templates are filled, those of the model card and of pages beside it."""
    import jinja2

    # Not ModelCard.from_template: that has no filters, lets missing values pass as empty text, and
    # cannot render a single block, which README.md needs.
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown; `cell` escapes what comes from a dataset
    )
    made.tests["uneven"] = stands_out
    filters: dict[str, Any] = {
        "interval": lambda report: " to ".join(
            f"{bound:.1%}" for bound in interval(report["accuracy"], report["count"])
        ),
        "percent": lambda value, digits=1: f"{value:.{digits}%}",
        "number": lambda value, digits=0: f"{value:,.{digits}f}",
        "cell": lambda value: " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;"),
        "median": statistics.median,
    }
    made.filters |= filters
    return made


def front_matter(results: dict[str, Any]) -> ModelCardData:
    """The metadata at the head of the card, which the hub reads."""
    dataset, known, test = results["dataset"]["name"], hub_id(results), results["test"]
    measured = [
        ("accuracy", "Accuracy", test["plain"]["accuracy"]),
        ("f1", "Macro F1", test["plain"]["f1_macro"]),
        ("ece", "Expected calibration error (15 bins)", test["plain"]["ece"]),
    ]
    if served := test.get("calibrated"):
        name = "Accuracy of the classifier: image and mirror image"
        measured.append(("accuracy", name, served["accuracy"]))
        measured.append(("ece", "Expected calibration error of the classifier", served["ece"]))
    return ModelCardData(
        **KIND,
        datasets=[known] if known else None,
        metrics=["accuracy", "f1"],
        model_name=results["model"]["architecture"],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                task_name="Image classification",
                dataset_type=dataset,
                dataset_name=dataset,
                dataset_split="test",
                metric_type=kind,
                metric_name=name,
                metric_value=value,
            )
            for kind, name, value in measured
        ],
    )


def hub_id(results: dict[str, Any]) -> str | None:
    """The dataset's id on the hub; None for a local folder, of which only its own name is told."""
    name = results["dataset"]["name"]
    return name if HUB_ID.fullmatch(name) else None
