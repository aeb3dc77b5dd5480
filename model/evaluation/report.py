"""The report made of the logits over a split: the numbers of results.json."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..data import ImageDataset, LabelledImages
from ..inference.calibration import Calibration, energy
from ..inference.logits import Progress, both_views, predict
from ..utils.errors import DataError
from ..utils.machine import machine, versions
from .confusion import confusions
from .metrics import log_softmax, measure

TOP_CONFUSED = 10
TOP_MISTAKES = 20
DIGITS = 6


def evaluate_split(
    network: nn.Module,
    split: LabelledImages | Iterable[LabelledImages],
    label_names: Sequence[str],
    *,
    calibration: Calibration | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Reports on a network over a split, at a single look and as a classifier answers.

    Args:
        network: On any device, in any mode; its `pretrained_cfg` holds mean and std.
        split: The images, or pieces of them as `ShardedSplit.iter_batches` gives; pieces of a
            multiple of `inference.logits.BATCH_SIZE` images give exactly the numbers of the whole.
        label_names: Of all classes, in the order of the logits.
        calibration: Of a classifier; None leaves its answers out.
        progress: Called with the number of images just done.

    Returns:
        {"plain": REPORT}, as `report` makes it, and with a calibration "calibrated": the report on
        a classifier's answers, from the mean logits of image and mirror image. Its key "confident"
        holds the share of confident answers, how many of those are right, and the share of images
        that are called "none".

    Raises:
        DataError: If there are no images, or the labels do not fit the network.
        WeightsError: If a logit is not finite.
    """
    parts = [
        (
            *predict(network, part.images, both_views, progress),
            part.labels.cpu(),
            part.indices.cpu(),
        )
        for part in ([split] if isinstance(split, LabelledImages) else split)
    ]
    if not parts:
        raise DataError("There are no images to evaluate; check the split's name and size.")
    plain, mean, labels, rows = map(torch.cat, zip(*parts, strict=True))
    return both_reports(plain, mean, labels, rows, label_names, calibration)


def both_reports(
    plain: Tensor,
    mean: Tensor,
    labels: Tensor,
    indices: Tensor,
    label_names: Sequence[str],
    calibration: Calibration | None,
) -> dict[str, dict[str, Any]]:
    """What `evaluate_split` gives, of logits that are there.

    Args:
        plain: Of a single look, (N, C).
        mean: Of image and mirror image, (N, C).
        labels: True classes, int64 (N,).
        indices: Rows of the dataset, int64 (N,).
        label_names: Of all C classes.
        calibration: Of a classifier; None leaves its answers out.

    Raises:
        DataError: If there are no images, or the labels do not fit the network.
    """
    answers = {"plain": plain}  # logits, (N, C)
    if calibration:
        answers["calibrated"] = mean.double() / calibration.temperature
    found = {name: report(values, labels, label_names, indices) for name, values in answers.items()}
    if calibration:
        sure = _confident(mean, labels, calibration)
        found["calibrated"]["confident"] = _rounded(sure)
    return found


def report(
    logits: Tensor,
    labels: Tensor,
    label_names: Sequence[str],
    indices: Tensor | None = None,
) -> dict[str, Any]:
    """Everything that is told about a split: a REPORT of results.json.

    Args:
        logits: Floats (N, C).
        labels: True classes, int64 (N,).
        label_names: Of all C classes.
        indices: By which mistakes are named, int64 (N,): rows of the dataset; None counts from 0.

    Returns:
        count, accuracy, top5_accuracy, nll, ece, f1_macro, per_class, confusion_matrix (read it by
        `confusions`), most_confused, confident_mistakes and reliability; fractions in 0..1, rounded
        to six digits; the confidence and accuracy of an empty reliability bin are None.

    Raises:
        DataError: If there are no images, or labels and names do not fit the logits.
    """
    if logits.shape[1] != len(label_names):
        raise DataError(
            f"The network knows {logits.shape[1]} classes, but {len(label_names)} label names were "
            "given; evaluate on a dataset with the classes that it was trained on."
        )
    values = measure(logits.float().double().numpy(), labels.numpy())
    columns = {name: values.pop(name) for name in ("precision", "recall", "f1", "support")}
    reliability, matrix = values.pop("reliability"), values.pop("confusion_matrix")
    values["per_class"] = {
        name: {column: columns[column][i] for column in columns}
        for i, name in enumerate(label_names)
    }
    values["confusion_matrix"] = matrix
    values["most_confused"] = _most_confused(values, label_names)
    values["confident_mistakes"] = _confident_mistakes(logits, labels, label_names, indices)
    values["reliability"] = reliability
    return _rounded(values)


def assemble(
    network: nn.Module,
    dataset: ImageDataset,
    parts: Iterable[str],
    sizes: dict[str, int],
    device: str | torch.device,
) -> dict[str, Any]:
    """The entries of results.json that say what was measured, on what, by what.

    Args:
        network: The one measured.
        dataset: Measured on.
        parts: Of the dataset that were read, whose fingerprints are noted.
        sizes: Number of images of each split.
        device: Measured on this one.
    """
    return {
        "version": 1,
        "model": describe(network),
        "dataset": {
            "name": dataset.name,
            "label_names": list(dataset.label_names),
            "fingerprint": {part: dataset.splits[part].fingerprint for part in parts},
            "sizes": sizes,
        },
        "machine": machine(device),
        "versions": versions(),
    }


def describe(network: nn.Module) -> dict[str, str | int]:
    """The model entry of results.json: architecture, parameters and multiply_adds."""
    config: Any = network.pretrained_cfg
    return {
        "architecture": config["architecture"],
        "parameters": sum(param.numel() for param in network.parameters()),
        "multiply_adds": multiply_adds(network, config["input_size"]),
    }


@torch.no_grad()
def multiply_adds(network: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Counts the multiply-adds of convolutions and matrix products for one image.

    Args:
        network: Run once on zeros.
        input_size: Channels, height and width of an image.
    """
    training, image = network.training, torch.zeros(1, *input_size)  # (1, C, H, W)
    try:
        with FlopCounterMode(display=False) as counter:
            network.eval()(image.to(next(network.parameters()).device))
    finally:
        network.train(training)
    return counter.get_total_flops() // 2  # a multiplication and an addition are two of its FLOPs


def _confident(logits: Tensor, labels: Tensor, calibration: Calibration) -> dict[str, Any]:
    """How many answers are confident, how many of those right, and how many "none"."""
    probability, predicted = calibration.probabilities(logits).max(dim=1)  # (N,), (N,)
    pairs = zip(probability.tolist(), energy(logits).tolist(), strict=True)
    verdicts = [calibration.verdict(*pair) for pair in pairs]
    sure = torch.tensor([verdict == "confident" for verdict in verdicts])  # (N,)
    right = (predicted == labels)[sure].double()
    return {
        "threshold": calibration.confident,
        "share": float(sure.double().mean()),
        "accuracy": float(right.mean()) if len(right) else None,
        "none": verdicts.count("none") / len(verdicts),
    }


def _most_confused(values: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs of true and predicted class that go wrong most often, the most frequent first."""
    rows = enumerate(confusions(values))
    wrong = [(-count, t, p) for t, row in rows for p, count in row.items() if p != t]
    return [
        {"true": names[t], "predicted": names[p], "count": -count}
        for count, t, p in sorted(wrong)[:TOP_CONFUSED]
    ]


def _confident_mistakes(
    logits: Tensor, labels: Tensor, names: Sequence[str], indices: Tensor | None
) -> list[dict[str, Any]]:
    """The mistakes made with the highest probability, the most certain first."""
    values = logits.float().numpy()
    predicted = values.argmax(axis=1)  # (N,)
    probability = np.exp(log_softmax(values).max(axis=1))  # (N,)
    wrong = np.flatnonzero(predicted != labels.numpy())  # (mistakes,)
    order = np.argsort(-probability[wrong], kind="stable")[:TOP_MISTAKES]
    return [
        {
            "index": i if indices is None else int(indices[i]),
            "true": names[int(labels[i])],
            "predicted": names[int(predicted[i])],
            "probability": float(probability[i]),
        }
        for i in wrong[order].tolist()
    ]


def _rounded(value: Any) -> Any:
    """The same lists and dicts with floats rounded to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
