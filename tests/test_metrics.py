"""The metrics against scikit-learn, against numbers worked out by hand, and over processes."""

import os
import socket
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from accelerate.utils import gather_object
from sklearn import metrics as reference
from torch.utils.data import DataLoader, TensorDataset

from model.evaluation import metrics
from model.evaluation.metrics import ClassifierMetric
from model.utils import files

SAMPLES = (101, 2)  # neither divides over two processes with batches of 8

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


def test_accuracies_by_hand() -> None:
    assert metrics.accuracy(LOG_P, TRUE) == {"accuracy": 0.5}
    # Ranks of the true class: 0, 0, 1 (tie 0.25/0.25: the first class wins), 1 (0.2 after 0.62).
    assert metrics.top_accuracy(LOG_P, TRUE, k=1) == {"top1_accuracy": 0.5}
    assert metrics.top_accuracy(LOG_P, TRUE, k=2) == {"top2_accuracy": 1.0}
    second, last = np.array([[1.0, 0.0, 0.0]]), np.array([2])
    assert metrics.top_accuracy(second, last, k=2) == {"top2_accuracy": 0.0}
    assert metrics.top_accuracy(second, last) == {"top5_accuracy": 1.0}


def test_nll_by_hand() -> None:
    expected = -(np.log(0.7) + np.log(0.82) + np.log(0.25) + np.log(0.2)) / 4
    assert metrics.negative_log_likelihood(LOG_P, TRUE)["nll"] == pytest.approx(expected)
    huge = np.array([[1e30, 0.0], [-1000.0, 0.0]])
    assert metrics.negative_log_likelihood(huge, np.array([0, 0]))["nll"] == pytest.approx(500)


def test_confusion_and_classes_by_hand_with_one_without_samples() -> None:
    found = metrics.confusion_matrix(LOG_P, TRUE)
    assert found == {"confusion_matrix": [[1, 0, 1], [1, 1, 0], [0, 0, 0]]}
    result = metrics.per_class(LOG_P, TRUE)
    assert result["support"] == [2, 2, 0]
    assert result["precision"] == pytest.approx([1 / 2, 1, 0])
    assert result["recall"] == pytest.approx([1 / 2, 1 / 2, 0])
    assert result["f1"] == pytest.approx([1 / 2, 2 / 3, 0])
    assert result["f1_macro"] == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_ece_by_hand() -> None:
    # Confidences 0.7 (right), 0.82 (right), 0.5 (wrong), 0.62 (wrong), each in a bin of its own.
    result = metrics.calibration_error(LOG_P, TRUE)
    assert result["ece"] == pytest.approx((0.3 + 0.18 + 0.5 + 0.62) / 4)
    assert len(result["reliability"]) == 15
    filled = {i: row for i, row in enumerate(result["reliability"]) if row["count"]}
    assert sorted(filled) == [7, 9, 10, 12]  # 15 times the confidence, rounded down
    assert filled[10] == pytest.approx(
        {"low": 10 / 15, "high": 11 / 15, "count": 1, "confidence": 0.7, "accuracy": 1}
    )
    empty = {"low": 0, "high": pytest.approx(1 / 15), "count": 0}
    assert result["reliability"][0] == empty | {"confidence": None, "accuracy": None}


@pytest.mark.parametrize(("confidence", "which"), [(0.5, 0), (0.75, 1), (1.0, 1)])
def test_ece_bins_are_closed_on_the_right(confidence: float, which: int) -> None:
    logits = {0.5: [0.0, 0.0], 0.75: [float(np.log(3)), 0.0], 1.0: [100.0, 0.0]}[confidence]
    result = metrics.calibration_error(np.array([logits]), np.array([0]), bins=2)
    assert [row["count"] for row in result["reliability"]] == [1 - which, which]


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


def test_it_is_a_module_of_evaluate() -> None:
    parts = [ClassifierMetric((one,)) for one in (metrics.accuracy, metrics.per_class)]
    both = evaluate.combine(parts)
    both.add_batch(predictions=torch.tensor(LOG_P).bfloat16(), references=TRUE)
    assert {"accuracy", "f1"} <= both.compute().keys()
    assert parts[0].compute(predictions=LOG_P, references=TRUE) == {"count": 4, "accuracy": 0.5}
    parts[0].add(prediction=LOG_P[0].tolist(), reference=0)  # nothing is left over
    assert parts[0].compute() == {"count": 1, "accuracy": 1.0}
    assert "largest logit" in parts[0].description


@pytest.mark.parametrize(
    ("logits", "labels", "named"),
    [
        (np.zeros((0, 3)), [], "Nothing"),
        (np.zeros((2, 3)), [0], "1"),
        (np.zeros((2, 3)), [0, 3], "3"),
        (np.zeros((2, 3)), [-1, 0], "-1"),
        ([[0.0, 1.0], [2.0]], [0, 0], "{1, 2}"),
        (np.array([[0.0, np.nan]]), [0], "NaN"),
        (np.array([[0.0, np.inf]]), [0], "infinite"),
    ],
)
def test_what_does_not_fit_is_refused(logits: Any, labels: Any, named: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (what it names is checked below)
        compute(logits, labels)
    assert named in str(caught.value)


def test_no_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="Nothing"):
        ClassifierMetric().compute()
    compute(LOG_P, TRUE)
    assert list(tmp_path.iterdir()) == []


def _worker(rank: int, folder: str, port: int) -> None:
    """One of two processes: holds an uneven part of the samples, and gathers in two ways."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    os.environ["ACCELERATE_USE_CPU"] = "true"
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    results: list[dict[str, Any]] = []
    for samples in SAMPLES:
        logits, labels = (torch.tensor(array) for array in random_case(samples, 10))
        first = samples // 3
        mine = slice(0, first) if rank == 0 else slice(first, samples)
        objects, loaded = ClassifierMetric(), ClassifierMetric()
        for x, y in gather_object([(logits[mine], labels[mine])]):
            objects.add_batch(predictions=x, references=y)
        loader = DataLoader(TensorDataset(logits, labels), batch_size=8)
        for batch in accelerator.prepare(loader):
            x, y = accelerator.gather_for_metrics(tuple(batch))
            loaded.add_batch(predictions=x, references=y)
        results.append({"objects": objects.compute(), "loaded": loaded.compute()})
    files.write_json(
        f"{folder}/{rank}.json", {"processes": accelerator.num_processes, "results": results}
    )
    dist.destroy_process_group()


def test_two_processes_count_every_sample_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_worker, args=(str(tmp_path), port), nprocs=2)
    for rank in (0, 1):
        content = files.read_json(tmp_path / f"{rank}.json")
        assert content["processes"] == 2
        for samples, result in zip(SAMPLES, content["results"], strict=True):
            alone = compute(*random_case(samples, 10))
            assert result["objects"] == alone
            for name in ("count", "accuracy", "confusion_matrix"):
                assert result["loaded"][name] == alone[name]
            assert result["loaded"]["nll"] == pytest.approx(alone["nll"])  # another order
