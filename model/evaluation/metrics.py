"""Metrics of a classifier: plain functions of logits, and one `evaluate.Metric` over them.

    metric = ClassifierMetric()
    for logits, labels in batches:
        metric.add_batch(predictions=logits, references=labels)
    metric.compute()["accuracy"]

Each function takes logits, float64 (N, C) of any real scale, and labels, int64 (N,) from 0 to
C - 1; neither N nor C is 0. In a run of several processes, gather first with accelerate's
`gather_for_metrics` or `gather_object`.
"""

from collections.abc import Callable
from typing import Any

import datasets
import evaluate
import numpy as np

ECE_BINS = 15

Values = dict[str, Any]
Function = Callable[[np.ndarray, np.ndarray], Values]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the classes' probabilities: float64 (N, C) from logits (N, C)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> Values:
    """Share of samples whose largest logit is the true class's; on a tie the first class wins."""
    return {"accuracy": float((logits.argmax(axis=1) == labels).mean())}


def top_accuracy(logits: np.ndarray, labels: np.ndarray, k: int = 5) -> Values:
    """Share of samples whose true class is among the k largest logits; with fewer classes, all."""
    true = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]  # (N, C): ties fall as in accuracy
    rank = ((logits > true) | ((logits == true) & earlier)).sum(axis=1)  # (N,), 0 is the best
    return {f"top{k}_accuracy": float((rank < k).mean())}


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> Values:
    """Mean of -ln of the true class's softmax probability, in nats; the smaller the better."""
    true = np.take_along_axis(log_softmax(logits), labels[:, None], axis=1)  # (N, 1)
    return {"nll": float(-true.mean())}


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> Values:
    """How far confidence and accuracy lie apart, on average over the samples.

    The confidence of a sample is its largest softmax probability. Samples fall in bins of equal
    width, (low, high], by confidence; the error is the bins' |accuracy - mean confidence|,
    weighted by their counts. Sources: Guo et al., "On calibration of modern neural networks", ICML
    2017, arXiv:1706.04599; Naeini et al., "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015.

    Returns:
        ece, and reliability: low, high, count, confidence and accuracy of each bin, the last two
        None in an empty one.
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
    ece = float((count * np.abs(reached - stated)).sum() / len(labels))
    return {"ece": ece, "reliability": reliability}


def per_class(logits: np.ndarray, labels: np.ndarray) -> Values:
    """Precision, recall, F1 and number of samples of each class, and the mean F1 of all classes.

    Precision is the share of the samples predicted as a class that are of it, recall the share of
    a class's samples that are predicted as it, F1 their harmonic mean. What would divide by zero,
    for a class without samples or predictions, is 0.
    """
    matrix = _confusion(logits, labels)
    hits, predicted, support = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)  # (C,)
    f1 = 2 * hits / np.maximum(predicted + support, 1)
    return {
        "precision": (hits / np.maximum(predicted, 1)).tolist(),
        "recall": (hits / np.maximum(support, 1)).tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "f1_macro": float(f1.mean()),
    }


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> Values:
    """How often each class, a row, was taken for each class, a column."""
    return {"confusion_matrix": _confusion(logits, labels).tolist()}


ALL: tuple[Function, ...] = (
    accuracy,
    top_accuracy,
    negative_log_likelihood,
    calibration_error,
    per_class,
    confusion_matrix,
)


class ClassifierMetric(evaluate.Metric):
    """Functions of this module as a module of `evaluate`, which keeps batches in memory.

    `compute()` gives the values of all functions in one dict, and their count.

    Args:
        functions: What to compute.
    """

    def __init__(self, functions: tuple[Function, ...] = ALL) -> None:
        self.functions = functions
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="\n".join((one.__doc__ or "").split("\n")[0] for one in self.functions),
            citation="",
            inputs_description="predictions: logits, (N, C). references: labels, (N,), from 0.",
            features=datasets.Features(
                predictions=datasets.Sequence(datasets.Value("float32")),
                references=datasets.Value("int64"),
            ),
        )

    def _compute(self, predictions: Any, references: Any) -> Values:
        if not predictions:
            raise ValueError("Nothing to compute: call add_batch with at least one sample first.")
        widths = {len(row) for row in predictions}
        if len(widths) != 1 or widths == {0}:
            raise ValueError(f"Every prediction needs the same number of logits, not {widths}.")
        logits, labels = np.asarray(predictions, np.float64), np.asarray(references)  # (N, C), (N,)
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            raise ValueError(
                f"Labels go from {labels.min()} to {labels.max()}, "
                f"but there are logits for the classes 0 to {logits.shape[1] - 1}."
            )
        if not np.isfinite(logits).all():
            raise ValueError("Some logits are NaN or infinite: no metric has a value for them.")
        found: Values = {"count": len(labels)}
        for function in self.functions:
            found |= function(logits, labels)
        return found

    def _build_data_dir(self) -> str:
        return ""  # the base class makes a folder in the user's cache even for a store in memory

    def _finalize(self) -> None:
        if self.writer is None:  # the base class expects that something was added
            self.add_batch(predictions=[], references=[])
        super()._finalize()


def _confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = logits.shape[1]
    pairs = labels * classes + logits.argmax(axis=1)  # (N,)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)  # (C, C)
