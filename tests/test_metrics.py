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
from model.evaluation.confusion import confusion_matrix, confusions
from model.evaluation.metrics import ClassifierMetric
from model.utils import files
from model.utils.errors import DataError

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


def test_four_samples_by_hand() -> None:
    """One class has no samples; ranks of the true classes are 0, 0, 1 (a tie) and 1."""
    found = metrics.measure(LOG_P, TRUE)
    assert (found["count"], found["accuracy"], found["top5_accuracy"]) == (4, 0.5, 1.0)
    assert [metrics.top_accuracy(LOG_P, TRUE, k) for k in (1, 2)] == [0.5, 1.0]
    assert metrics.top_accuracy(np.array([[1.0, 0.0, 0.0]]), np.array([2]), 2) == 0  # ties in order
    expected = -(np.log(0.7) + np.log(0.82) + np.log(0.25) + np.log(0.2)) / 4
    assert found["nll"] == pytest.approx(expected)
    assert found["confusion_matrix"] == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert found["support"] == [2, 2, 0]
    assert found["precision"] == pytest.approx([1 / 2, 1, 0])
    assert found["recall"] == pytest.approx([1 / 2, 1 / 2, 0])
    assert found["f1"] == pytest.approx([1 / 2, 2 / 3, 0])
    assert found["f1_macro"] == pytest.approx((1 / 2 + 2 / 3) / 3)
    # Confidences 0.7 (right), 0.82 (right), 0.5 (wrong), 0.62 (wrong), each in a bin of its own.
    assert found["ece"] == pytest.approx((0.3 + 0.18 + 0.5 + 0.62) / 4)
    assert len(found["reliability"]) == 15
    filled = {i: row for i, row in enumerate(found["reliability"]) if row["count"]}
    assert sorted(filled) == [7, 9, 10, 12]  # 15 times the confidence, rounded down
    assert filled[10] == pytest.approx(
        {"low": 10 / 15, "high": 11 / 15, "count": 1, "confidence": 0.7, "accuracy": 1}
    )
    empty = {"low": 0, "high": pytest.approx(1 / 15), "count": 0}
    assert found["reliability"][0] == empty | {"confidence": None, "accuracy": None}


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
    ("logits", "labels", "named"),
    [
        (np.zeros((0, 3)), [], "no images"),
        (np.zeros((1, 3)), [3], "label 3"),
        (np.zeros((2, 3)), [0, -1], "label -1"),
        (np.array([[0.0, np.nan]]), [0], "NaN"),
    ],
)
def test_what_has_no_value_is_refused(logits: np.ndarray, labels: list[int], named: str) -> None:
    with pytest.raises(DataError, match=named):
        metrics.measure(logits, np.array(labels, dtype=np.int64))


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


@pytest.mark.slow
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
