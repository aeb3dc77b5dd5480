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
from sklearn import metrics as reference
from torch.utils.data import DataLoader, TensorDataset

from model.evaluation import metrics
from model.utils import files
from model.utils.gather import gather_rows

SAMPLES = (101, 2)  # neither divides over two processes with batches of 8

# Softmax of LOG_P is P: four samples of three classes, predicted as 0, 1, 0, 2.
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.82, 0.08], [0.5, 0.25, 0.25], [0.2, 0.18, 0.62]])
LOG_P = np.log(P)
TRUE = np.array([0, 1, 1, 0])


def compute(metric: evaluate.Metric, logits: Any = LOG_P, labels: Any = TRUE) -> dict[str, Any]:
    metric.add_batch(predictions=logits, references=labels)
    return metric.compute()


def random_case(samples: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    logits = rng.normal(size=(samples, classes)).astype(np.float32)
    logits[np.arange(samples), labels] += 1.5
    return logits, labels


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.tensor(logits, dtype=torch.float64).softmax(1).numpy()


def test_accuracy_by_hand() -> None:
    assert compute(metrics.Accuracy()) == {"accuracy": 0.5}


def test_top_k_by_hand() -> None:
    # Ranks of the true class: 0, 0, 1 (tie 0.25/0.25: the first class wins), 1 (0.2 after 0.62).
    assert compute(metrics.TopKAccuracy(k=1)) == {"top1_accuracy": 0.5}
    assert compute(metrics.TopKAccuracy(k=2)) == {"top2_accuracy": 1.0}
    second = [[1.0, 0.0, 0.0]]
    assert compute(metrics.TopKAccuracy(k=2), second, [2]) == {"top2_accuracy": 0.0}
    assert compute(metrics.TopKAccuracy(k=5), second, [2]) == {"top5_accuracy": 1.0}


def test_nll_by_hand() -> None:
    expected = -(np.log(0.7) + np.log(0.82) + np.log(0.25) + np.log(0.2)) / 4
    assert compute(metrics.NegativeLogLikelihood())["nll"] == pytest.approx(expected, abs=1e-7)


def test_nll_of_uniform_logits_is_ln_of_classes() -> None:
    result = compute(metrics.NegativeLogLikelihood(), np.zeros((5, 7)), [0, 1, 2, 3, 6])
    assert result["nll"] == pytest.approx(np.log(7))


def test_nll_of_huge_logits_is_finite_and_right() -> None:
    result = compute(metrics.NegativeLogLikelihood(), [[1e30, 0.0], [-1000.0, 0.0]], [0, 0])
    assert result["nll"] == pytest.approx(500)


def test_confusion_matrix_by_hand() -> None:
    expected = [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert compute(metrics.ConfusionMatrix()) == {"confusion_matrix": expected}


def test_per_class_by_hand_with_a_class_without_samples() -> None:
    result = compute(metrics.PerClass())
    assert result["support"] == [2, 2, 0]
    assert result["precision"] == pytest.approx([1 / 2, 1, 0])
    assert result["recall"] == pytest.approx([1 / 2, 1 / 2, 0])
    assert result["f1"] == pytest.approx([1 / 2, 2 / 3, 0])
    assert result["f1_macro"] == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_ece_by_hand() -> None:
    # Confidences 0.7 (right), 0.82 (right), 0.5 (wrong), 0.62 (wrong), each in a bin of its own.
    result = compute(metrics.ExpectedCalibrationError())
    assert result["ece"] == pytest.approx((0.3 + 0.18 + 0.5 + 0.62) / 4, abs=1e-6)
    assert len(result["reliability"]) == 15
    filled = {i: row for i, row in enumerate(result["reliability"]) if row["count"]}
    assert sorted(filled) == [7, 9, 10, 12]  # 15 times the confidence, rounded down
    assert filled[10]["low"] == pytest.approx(10 / 15)
    assert filled[10]["confidence"] == pytest.approx(0.7)
    assert filled[10]["accuracy"] == 1
    assert result["reliability"][0]["accuracy"] is None
    assert result["reliability"][0]["confidence"] is None


def test_ece_groups_samples_of_one_bin() -> None:
    # Confidence 0.8 four times, right twice: the bin's accuracy is 0.5.
    logits = np.log([[0.8, 0.2]] * 4)
    result = compute(metrics.ExpectedCalibrationError(), logits, [0, 0, 1, 1])
    assert result["ece"] == pytest.approx(0.3)


@pytest.mark.parametrize(("confidence", "which"), [(0.5, 0), (0.75, 1), (1.0, 1)])
def test_ece_bins_are_closed_on_the_right(confidence: float, which: int) -> None:
    logits = {0.5: [0.0, 0.0], 0.75: [float(np.log(3)), 0.0], 1.0: [100.0, 0.0]}[confidence]
    result = compute(metrics.ExpectedCalibrationError(bins=2), [logits], [0])
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
def test_suite_agrees_with_scikit_learn(samples: int, classes: int) -> None:
    logits, labels = random_case(samples, classes)
    metric = metrics.suite(classes)
    for start in range(0, samples, 128):
        part = slice(start, start + 128)
        metric.add_batch(predictions=logits[part], references=labels[part])
    result = metric.compute()
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


def test_values_do_not_depend_on_the_cut_into_batches() -> None:
    logits, labels = random_case(300, 10)
    results = []
    for size in (1, 7, 300):
        metric = metrics.suite()
        for x, y in zip(
            torch.tensor(logits).split(size), torch.tensor(labels).split(size), strict=True
        ):
            metric.add_batch(predictions=x, references=y)
        results.append(metric.compute())
    assert results[0] == results[1] == results[2]


def test_arrays_tensors_and_lists_give_the_same() -> None:
    logits, labels = random_case(50, 4)
    forms = [
        (logits, labels),
        (torch.tensor(logits), torch.tensor(labels)),
        (logits.tolist(), labels.tolist()),
    ]
    results = [compute(metrics.suite(), *form) for form in forms]
    assert results[0] == results[1] == results[2]


def test_bfloat16_logits_are_accepted() -> None:
    assert compute(metrics.Accuracy(), torch.tensor(LOG_P).bfloat16(), TRUE) == {"accuracy": 0.5}


def test_metrics_combine_and_are_reusable() -> None:
    both = evaluate.combine([metrics.Accuracy(), metrics.NegativeLogLikelihood()])
    both.add_batch(predictions=LOG_P, references=TRUE)
    assert both.compute().keys() == {"accuracy", "nll"}
    metric = metrics.Accuracy()
    assert compute(metric) == {"accuracy": 0.5}
    assert compute(metric, LOG_P[:2], TRUE[:2]) == {"accuracy": 1.0}  # nothing is left over


def test_single_samples_can_be_added() -> None:
    metric = metrics.Accuracy()
    for x, y in zip(LOG_P.tolist(), TRUE.tolist(), strict=True):
        metric.add(prediction=x, reference=y)
    assert metric.compute() == {"accuracy": 0.5}


def test_every_metric_says_what_it_takes_and_gives() -> None:
    for metric in (*metrics.suite().parts, metrics.suite()):
        assert metric.description
        assert "logits, (N, C)" in metric.inputs_description
        assert "Returns:" in metric.inputs_description


def test_compute_on_nothing_raises() -> None:
    with pytest.raises(ValueError, match="Nothing to compute"):
        metrics.suite(10).compute()
    metric = metrics.Accuracy()
    metric.add_batch(predictions=np.zeros((0, 3)), references=np.zeros(0, int))
    with pytest.raises(ValueError, match="Nothing to compute"):
        metric.compute()


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), [0], "not \\(2, 3\\) and \\(1,\\)"),
        (np.zeros(3), [0, 1, 2], "Logits \\(N, C\\)"),
        (np.zeros((2, 3)), [0.0, 1.0], "whole numbers"),
        (np.zeros((2, 3)), [0, 3], "from 0 to 3"),
        (np.zeros((2, 3)), [-1, 0], "from -1 to 0"),
        (np.array([[0.0, np.nan]]), [0], "NaN or infinite"),
        (np.array([[0.0, np.inf]]), [0], "NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(logits: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute(metrics.suite(), logits, labels)


def test_number_of_classes_is_checked() -> None:
    with pytest.raises(ValueError, match="3 logits, not num_classes=10"):
        compute(metrics.suite(10))
    metric = metrics.suite()
    metric.add_batch(predictions=np.zeros((1, 3)), references=[0])
    metric.add_batch(predictions=np.zeros((1, 4)), references=[0])
    with pytest.raises(ValueError, match="same number of logits"):
        metric.compute()


@pytest.mark.parametrize(
    "make", [lambda: metrics.TopKAccuracy(k=0), lambda: metrics.ExpectedCalibrationError(bins=0)]
)
def test_options_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make()


def test_no_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(cache))
    compute(metrics.suite())
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
        own = metrics.suite(10)
        own.add_batch(predictions=gather_rows(logits[mine]), references=gather_rows(labels[mine]))
        loader = DataLoader(TensorDataset(logits, labels), batch_size=8)
        accelerated = metrics.suite(10)
        for batch in accelerator.prepare(loader):
            x, y = accelerator.gather_for_metrics(tuple(batch))
            accelerated.add_batch(predictions=x, references=y)
        results.append({"own": own.compute(), "accelerated": accelerated.compute()})
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
            alone = compute(metrics.suite(10), *random_case(samples, 10))
            assert result["own"] == alone
            for name in ("count", "accuracy", "confusion_matrix"):
                assert result["accelerated"][name] == alone[name]
            assert result["accelerated"]["nll"] == pytest.approx(alone["nll"])  # another order


def test_gather_in_one_process_changes_nothing() -> None:
    rows = torch.arange(6).view(3, 2)
    assert gather_rows(rows) is rows
