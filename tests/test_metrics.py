"""The metrics against scikit-learn, by hand and over processes; what few images allow to say."""

from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from model.evaluation import metrics
from model.evaluation.confusion import confusion_matrix, confusions
from model.evaluation.metrics import ClassifierMetric
from model.utils.shares import interval, stands_out

# Softmax of LOG_P is P: four samples of three classes, predicted as 0, 1, 0, 2.
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.82, 0.08], [0.5, 0.25, 0.25], [0.2, 0.18, 0.62]])
LOG_P = np.log(P)
TRUE = np.array([0, 1, 1, 0])


def random_case(samples: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    logits = rng.normal(size=(samples, classes)).astype(np.float32)
    logits[np.arange(samples), labels] += 1.5
    return logits, labels


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.tensor(logits, dtype=torch.float64).softmax(1).numpy()


def compute(logits: Any, labels: Any) -> dict[str, Any]:
    return ClassifierMetric().compute(predictions=logits, references=labels)


def test_huge_logits_have_a_likelihood() -> None:
    huge = np.array([[1e30, 0.0], [-1000.0, 0.0]])
    assert metrics.negative_log_likelihood(huge, np.array([0, 0])) == pytest.approx(500)


@pytest.mark.parametrize(("confidence", "which"), [(0.5, 0), (0.75, 1), (1.0, 1)])
def test_ece_bins_are_closed_on_the_right(confidence: float, which: int) -> None:
    logits = {0.5: [0.0, 0.0], 0.75: [float(np.log(3)), 0.0], 1.0: [100.0, 0.0]}[confidence]
    _, rows = metrics.calibration_error(np.array([logits]), np.array([0]), bins=2)
    assert [row["count"] for row in rows] == [1 - which, which]


def ece_by_definition(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    p = softmax(logits)
    total = 0.0
    for b in range(bins):
        inside = (p.max(1) > b / bins) & (p.max(1) <= (b + 1) / bins)
        if inside.any():
            accuracy = (p.argmax(1) == labels)[inside].mean()
            total += inside.sum() * abs(accuracy - p.max(1)[inside].mean())
    return total / len(labels)


@pytest.mark.parametrize(("samples", "classes"), [(1, 2), (997, 2), (1500, 10), (3000, 100)])
def test_all_agree_with_scikit_learn(samples: int, classes: int) -> None:
    logits, labels = random_case(samples, classes)
    metric = ClassifierMetric()
    for start in range(0, samples, 128):
        part = slice(start, start + 128)
        metric.add_batch(predictions=logits[part], references=labels[part])
    result = metric.compute()
    assert result == compute(torch.tensor(logits), labels.tolist())
    predicted, every = logits.argmax(1), np.arange(classes)
    assert result["count"] == samples
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    if classes > 5:
        top5 = reference.top_k_accuracy_score(labels, logits, k=5, labels=every)
        assert result["top5_accuracy"] == pytest.approx(top5)
    nll = reference.log_loss(labels, softmax(logits), labels=every)
    assert result["nll"] == pytest.approx(nll)
    columns = reference.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert result[name] == pytest.approx(list(column)), name
    f1 = reference.f1_score(labels, predicted, labels=every, average="macro", zero_division=0)
    assert result["f1_macro"] == pytest.approx(f1)
    matrix = reference.confusion_matrix(labels, predicted, labels=every)
    assert result["confusion_matrix"] == matrix.tolist()
    assert result["ece"] == pytest.approx(ece_by_definition(logits, labels))


def test_many_classes_are_counted_briefly() -> None:
    """Of 101 classes only what is not 0 is kept; both forms are read as the same counts."""
    predicted, labels = np.array([100, 7, 7, 0]), np.array([3, 7, 7, 3])
    found = confusion_matrix(predicted, labels, 101)
    assert (found[3], found[7], found[0]) == ("0:1 100:1", "7:2", "")
    rows = confusions({"confusion_matrix": found})
    assert (len(rows), rows[3], rows[7], rows[0]) == (101, {0: 1, 100: 1}, {7: 2}, {})
    assert confusions({"confusion_matrix": [[2, 0], [1, 3]]}) == [{0: 2}, {0: 1, 1: 3}]


def test_it_is_a_module_of_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    both = evaluate.combine([ClassifierMetric()])
    both.add_batch(predictions=torch.tensor(LOG_P).bfloat16(), references=TRUE)
    assert both.compute()["accuracy"] == 0.5
    metric = ClassifierMetric()
    assert metric.compute(predictions=LOG_P, references=TRUE)["count"] == 4
    metric.add(prediction=LOG_P[0].tolist(), reference=0)  # nothing is left over
    assert metric.compute()["count"] == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)],
)
def test_intervals_are_wilsons(right: int, count: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert interval(right / count, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("support", "found"), [(20, False), (200, True)])
def test_a_class_stands_out_of_enough_images(support: int, found: bool) -> None:
    rows = [{"recall": recall, "support": support} for recall in (0.7, 0.9, 0.9)]
    assert stands_out(rows) is found
    assert not stands_out([{"recall": 0.0, "support": 0}, rows[1]])  # a class without images


def test_of_many_equal_classes_none_stands_out() -> None:
    found = np.random.default_rng(0).binomial(100, 0.9, (50, 50)) / 100  # runs, classes
    runs = [[{"recall": float(one), "support": 100} for one in run] for run in found]
    assert sum(map(stands_out, runs)) <= 3
