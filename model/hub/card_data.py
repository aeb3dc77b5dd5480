"""What the hub reads of a model card: its front matter, and names of datasets."""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


KIND: dict[str, Any] = {
    "library_name": "timm",
    "license": "apache-2.0",
    "pipeline_tag": "image-classification",
    "tags": ["image-classification", "timm", "pytorch", "safetensors", "cifarnet"],
}


def bare_front_matter() -> ModelCardData:
    """The metadata of a model that nothing was measured of."""
    return ModelCardData(**KIND)


def front_matter(results: dict[str, Any]) -> ModelCardData:
    """The metadata at the head of a model card, from the content of results.json."""
    dataset, known = dataset_name(results), hub_id(results)
    plain, averaged = results["test"]["plain"], results["test"]["tta"]
    calibrated = results["test"].get("calibrated")
    measured = [
        ("accuracy", "Accuracy", plain["accuracy"]),
        ("accuracy", "Accuracy with test-time augmentation", averaged["accuracy"]),
        ("f1", "Macro F1", plain["f1_macro"]),
        ("ece", "Expected calibration error (15 bins)", plain["ece"]),
    ]
    if calibrated:
        measured += [
            (
                "accuracy",
                "Accuracy of the classifier: image and mirror image",
                calibrated["accuracy"],
            ),
            ("ece", "Expected calibration error of the classifier", calibrated["ece"]),
        ]
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
    """The dataset's id on the hub; None for a local folder and for generated data."""
    name = results["dataset"]["name"]
    return name if HUB_ID.fullmatch(name) and not Path(name).exists() else None


def dataset_name(results: dict[str, Any]) -> str:
    """A name to show: a folder's own name without the path to it, which is nobody's business."""
    name = results["dataset"]["name"]
    return hub_id(results) or Path(name).name or name
