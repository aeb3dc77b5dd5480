"""Metrics of a classifier as `evaluate` modules: fed logits batch by batch, no network needed.

    metric = suite(num_classes=10)
    for logits, labels in batches:
        metric.add_batch(predictions=logits, references=labels)
    metric.compute()["accuracy"]

Each module takes `predictions`, logits (N, C) of any real scale, and `references`, class numbers
(N,) from 0 to C - 1; numpy arrays, tensors on any device and lists are welcome. Batches wait in
memory and nothing is written to disk. In a run of several processes, gather first:
`model.utils.gather.gather_rows`, or accelerate's `gather_for_metrics`.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from torch import Tensor

ECE_BINS = 15

_INPUTS = """
Args:
    predictions (list of list of float): logits, (N, C).
    references (list of int): class numbers, (N,), from 0 to C - 1.
"""
_CALIBRATION = (
    "Guo et al., 'On Calibration of Modern Neural Networks', ICML 2017, arXiv:1706.04599; Naeini "
    "et al., 'Obtaining Well Calibrated Probabilities Using Bayesian Binning', AAAI 2015"
)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the classes' probabilities: float64 (N, C) from logits (N, C)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class LogitsMetric(evaluate.Metric):
    """What the metrics here have in common: their inputs, checked, and a store in memory.

    Args:
        num_classes: Logits a prediction must have; None takes the width of what is added.
        options: Passed to `evaluate.Metric`.
    """

    gives = ""
    citation_text = ""

    def __init__(self, num_classes: int | None = None, **options: Any) -> None:
        self.num_classes = num_classes
        options.setdefault("keep_in_memory", options.get("num_process", 1) == 1)
        super().__init__(**options)

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """The metric of logits, float64 (N, C), and labels, int64 (N,); N and C are not 0."""
        raise NotImplementedError

    def add_batch(self, *, predictions: Any = None, references: Any = None, **rest: Any) -> None:
        """Adds logits (n, C) and labels (n,) of one batch; n may be 0.

        Raises:
            ValueError: If their shapes do not fit each other.
        """
        if predictions is not None and references is not None:
            predictions = _to_numpy(predictions)
            references = _to_numpy(references)
            if len(predictions) == 0 and len(references) == 0:
                return
            if predictions.ndim != 2 or references.shape != predictions.shape[:1]:
                raise ValueError(
                    f"Logits (N, C) and labels (N,) are needed, "
                    f"not {predictions.shape} and {references.shape}."
                )
            if references.dtype.kind not in "iu":
                raise ValueError(f"Labels must be whole numbers, not {references.dtype}.")
            self._check_width(predictions.shape[1])
        super().add_batch(predictions=predictions, references=references, **rest)

    def _check_width(self, width: int) -> None:
        if self.num_classes not in (None, width):
            raise ValueError(
                f"Predictions have {width} logits, not num_classes={self.num_classes}."
            )

    def _build_data_dir(self) -> str:
        # The base class makes an empty folder in the user's cache even for a store in memory.
        return "" if self.keep_in_memory else super()._build_data_dir()

    def _finalize(self) -> None:
        if self.keep_in_memory and self.writer is None:
            raise ValueError("Nothing to compute: call add_batch with at least one sample first.")
        super()._finalize()

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self)) or "",
            citation=self.citation_text,
            inputs_description=f"{_INPUTS}Returns:\n    {self.gives}\n",
            features=datasets.Features(
                predictions=datasets.Sequence(datasets.Value("float32")),
                references=datasets.Value("int64"),
            ),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        widths = {len(row) for row in predictions}
        if len(widths) != 1 or widths == {0}:
            raise ValueError(f"Every prediction needs the same number of logits, not {widths}.")
        logits, labels = np.asarray(predictions, np.float64), np.asarray(references)  # (N, C), (N,)
        self._check_width(logits.shape[1])
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            raise ValueError(
                f"Labels go from {labels.min()} to {labels.max()}, "
                f"but there are logits for the classes 0 to {logits.shape[1] - 1}."
            )
        if not np.isfinite(logits).all():
            raise ValueError("Some logits are NaN or infinite: no metric has a value for them.")
        return self._values(logits, labels)


class Accuracy(LogitsMetric):
    """Share of samples whose largest logit is the true class's; on a tie the first class wins."""

    gives = "accuracy (float): 0 to 1."

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        return {"accuracy": float((logits.argmax(axis=1) == labels).mean())}


class TopKAccuracy(LogitsMetric):
    """Share of samples whose true class is among the k largest logits; with fewer classes, all.

    Args:
        k: How many guesses count.
    """

    gives = "top<k>_accuracy (float): 0 to 1; 1 where there are no more than k classes."

    def __init__(self, k: int = 5, num_classes: int | None = None, **options: Any) -> None:
        if k < 1:
            raise ValueError(f"k={k} must be at least 1.")
        self.k = k
        super().__init__(num_classes, **options)

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        true = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
        earlier = np.arange(logits.shape[1]) < labels[:, None]  # (N, C): ties fall as in Accuracy
        rank = ((logits > true) | ((logits == true) & earlier)).sum(axis=1)  # (N,), 0 is the best
        return {f"top{self.k}_accuracy": float((rank < self.k).mean())}


class ConfusionMatrix(LogitsMetric):
    """How often each class was taken for each class."""

    gives = "confusion_matrix (list of list of int): C rows, the true classes, of C predicted ones."

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        return {"confusion_matrix": _confusion(logits, labels).tolist()}


class PerClass(LogitsMetric):
    """Precision, recall and F1 of each class, and the mean F1 of all C classes.

    Precision is the share of the samples predicted as a class that are of it, recall the share of
    a class's samples that are predicted as it, F1 their harmonic mean. What would divide by zero,
    for a class without samples or predictions, is 0.
    """

    gives = (
        "precision, recall, f1 (list of float): 0 to 1, by class; "
        "support (list of int): samples by class; f1_macro (float): the classes' mean F1."
    )

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        matrix = _confusion(logits, labels)
        hits, predicted, support = (
            np.diagonal(matrix),
            matrix.sum(axis=0),
            matrix.sum(axis=1),
        )  # (C,)
        f1 = 2 * hits / np.maximum(predicted + support, 1)
        return {
            "precision": (hits / np.maximum(predicted, 1)).tolist(),
            "recall": (hits / np.maximum(support, 1)).tolist(),
            "f1": f1.tolist(),
            "support": support.tolist(),
            "f1_macro": float(f1.mean()),
        }


class NegativeLogLikelihood(LogitsMetric):
    """Mean of -ln of the true class's softmax probability, in nats; the smaller the better."""

    gives = "nll (float): 0 or more; ln C for a classifier that knows nothing."

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        true = np.take_along_axis(log_softmax(logits), labels[:, None], axis=1)  # (N, 1)
        return {"nll": float(-true.mean())}


class ExpectedCalibrationError(LogitsMetric):
    """How far stated confidence and accuracy lie apart, on average over the samples.

    The confidence of a sample is its largest softmax probability. Samples fall in bins of equal
    width, (low, high], by confidence; the error is the bins' |accuracy - mean confidence|,
    weighted by their counts. Sources: Guo et al. 2017, Naeini et al. 2015.

    Args:
        bins: How many.
    """

    gives = (
        "ece (float): 0 to 1; reliability (list of dict): low, high, count, confidence, accuracy "
        "of each bin, the last two None in an empty one."
    )
    citation_text = _CALIBRATION

    def __init__(
        self, bins: int = ECE_BINS, num_classes: int | None = None, **options: Any
    ) -> None:
        if bins < 1:
            raise ValueError(f"bins={bins} must be at least 1.")
        self.bins = bins
        super().__init__(num_classes, **options)

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        confidence = np.exp(log_softmax(logits).max(axis=1))  # (N,)
        correct = logits.argmax(axis=1) == labels  # (N,)
        edges = np.arange(self.bins + 1) / self.bins  # (bins + 1,)
        which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, self.bins - 1)
        count = np.bincount(which, minlength=self.bins)  # (bins,)
        stated = np.bincount(which, confidence, self.bins) / np.maximum(count, 1)
        reached = np.bincount(which, correct, self.bins) / np.maximum(count, 1)
        columns = dict(low=edges[:-1], high=edges[1:], count=count, confidence=stated)
        reliability = _rows(columns | {"accuracy": reached})
        for row in reliability:
            if row["count"] == 0:
                row["confidence"] = row["accuracy"] = None
        ece = float((count * np.abs(reached - stated)).sum() / len(labels))
        return {"ece": ece, "reliability": reliability}


class Suite(LogitsMetric):
    """All metrics of this module at once, over one store of logits.

    Args:
        parts: The metrics; each contributes its values under its own names.
    """

    gives = "count (int): samples; then what each part gives."

    def __init__(
        self, parts: Sequence[LogitsMetric], num_classes: int | None = None, **options: Any
    ) -> None:
        self.parts = list(parts)
        super().__init__(num_classes, **options)

    def _values(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        result: dict[str, Any] = {"count": len(labels)}
        for part in self.parts:
            result |= part._values(logits, labels)
        return result


def suite(num_classes: int | None = None) -> Suite:
    """Accuracy, top-5 accuracy, NLL, ECE, per-class values and the confusion matrix in one.

    Args:
        num_classes: Logits a prediction must have; None takes the width of what is added.

    Returns:
        A metric whose `compute()` gives count, accuracy, top5_accuracy, nll, ece, reliability,
        precision, recall, f1, support, f1_macro and confusion_matrix.
    """
    parts: list[LogitsMetric] = [Accuracy(), TopKAccuracy(), NegativeLogLikelihood()]
    parts += [ExpectedCalibrationError(), PerClass(), ConfusionMatrix()]
    return Suite(parts, num_classes)


def _to_numpy(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = logits.shape[1]
    pairs = labels * classes + logits.argmax(axis=1)  # (N,)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)  # (C, C)


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
