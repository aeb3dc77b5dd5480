"""Metrics of a classifier: plain functions of logits, and one `evaluate.Metric` over them.

    metric = ClassifierMetric()
    for logits, labels in batches:
        metric.add_batch(predictions=logits, references=labels)
    metric.compute()["accuracy"]

Each function takes logits, float64 (N, C) of any real scale, and labels, int64 (N,) from 0 to
C - 1; neither N nor C is 0. In a run of several processes, gather first with accelerate's
`gather_for_metrics` or `gather_object`.
"""

from typing import Any

import datasets
import evaluate
import numpy as np

from ..utils.errors import DataError
from .confusion import confusion_matrix

ECE_BINS = 15

Values = dict[str, Any]


def measure(logits: np.ndarray, labels: np.ndarray) -> Values:
    """All metrics of this module.

    Returns:
        count, accuracy, top5_accuracy, nll, ece, reliability, what `per_class` gives, and
        confusion_matrix.

    Raises:
        DataError: If there are no samples, a label has no logit, or a logit is not finite.
    """
    if not len(labels):
        raise DataError("There are no images to evaluate; check the split's name and size.")
    if len(wrong := labels[(labels < 0) | (labels >= logits.shape[1])]):
        raise DataError(
            f"The dataset holds the label {wrong[0]}, but the network knows the classes 0 to "
            f"{logits.shape[1] - 1}; check the label column."
        )
    if not np.isfinite(logits).all():
        raise DataError("Some logits are NaN or infinite; no metric has a value for them.")
    predicted = logits.argmax(axis=1)  # (N,); on a tie the first class wins
    ece, bins = calibration_error(logits, labels)
    return {
        "count": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "top5_accuracy": top_accuracy(logits, labels, 5),
        "nll": negative_log_likelihood(logits, labels),
        "ece": ece,
        "reliability": bins,
        **per_class(logits, labels),
        "confusion_matrix": confusion_matrix(predicted, labels, logits.shape[1]),
    }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the classes' probabilities: float64 (N, C) from logits (N, C)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def top_accuracy(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of samples whose true class is among the k largest logits; with fewer classes, all."""
    true = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]  # (N, C): ties fall as in accuracy
    rank = ((logits > true) | ((logits == true) & earlier)).sum(axis=1)  # (N,), 0 is the best
    return float((rank < k).mean())


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -ln of the true class's softmax probability, in nats; the smaller the better."""
    return float(-np.take_along_axis(log_softmax(logits), labels[:, None], axis=1).mean())


def calibration_error(
    logits: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS
) -> tuple[float, list[Values]]:
    """How far confidence and accuracy lie apart, on average over the samples.

    The confidence of a sample is its largest softmax probability. Samples fall in bins of equal
    width, (low, high], by confidence; the error is the bins' |accuracy - mean confidence|,
    weighted by their counts. Sources: Guo et al., "On calibration of modern neural networks", ICML
    2017, arXiv:1706.04599; Naeini et al., "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015.

    Returns:
        The error; and low, high, count, confidence and accuracy of each bin, the last two None in
        an empty one.
    """
    confidence = np.exp(log_softmax(logits).max(axis=1))  # (N,)
    correct = logits.argmax(axis=1) == labels  # (N,)
    edges = np.arange(bins + 1) / bins  # (bins + 1,)
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)  # (N,)
    count = np.bincount(which, minlength=bins)  # (bins,)
    stated = np.bincount(which, confidence, bins) / np.maximum(count, 1)  # (bins,)
    reached = np.bincount(which, correct, bins) / np.maximum(count, 1)  # (bins,)
    reliability = [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "count": int(count[i]),
            "confidence": float(stated[i]) if count[i] else None,
            "accuracy": float(reached[i]) if count[i] else None,
        }
        for i in range(bins)
    ]
    return float((count * np.abs(reached - stated)).sum() / len(labels)), reliability


def per_class(logits: np.ndarray, labels: np.ndarray) -> Values:
    """Precision, recall, F1 and number of samples of each class, and the mean F1 of all classes.

    Precision is the share of the samples predicted as a class that are of it, recall the share of
    a class's samples that are predicted as it, F1 their harmonic mean. What would divide by zero,
    for a class without samples or predictions, is 0.
    """
    guesses, classes = logits.argmax(axis=1), logits.shape[1]
    hits, predicted, support = (
        np.bincount(some, minlength=classes)
        for some in (labels[guesses == labels], guesses, labels)
    )  # (C,) each
    f1 = 2 * hits / np.maximum(predicted + support, 1)
    return {
        "precision": (hits / np.maximum(predicted, 1)).tolist(),
        "recall": (hits / np.maximum(support, 1)).tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "f1_macro": float(f1.mean()),
    }


class ClassifierMetric(evaluate.Metric):
    """`measure` as a module of `evaluate`, which keeps batches in memory."""

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=str(measure.__doc__),
            citation="",
            inputs_description="predictions: logits, (N, C). references: labels, (N,), from 0.",
            features=datasets.Features(
                predictions=datasets.Sequence(datasets.Value("float32")),
                references=datasets.Value("int64"),
            ),
        )

    def _compute(self, predictions: Any, references: Any) -> Values:
        return measure(np.asarray(predictions, np.float64), np.asarray(references))

    def _build_data_dir(self) -> str:
        return ""  # the base class makes a folder in the user's cache even for a store in memory
