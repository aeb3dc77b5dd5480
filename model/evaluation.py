"""Logits over a split, and the report made of them: the numbers of results.json.

`python -m model.evaluation MODEL --dataset NAME` prints them, and says whether they are the ones
that MODEL's results.json holds.
"""

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import metrics, scope
from model.augment import normalize
from model.data import Split
from model.doubt import Doubt
from model.errors import DataError, WeightsError

BATCH_SIZE = 500
TOP_CONFUSED = 10
TOP_MISTAKES = 20
DIGITS = 6

Progress = Callable[[int], object]


@torch.inference_mode()
def predict_logits(
    network: nn.Module,
    images: Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    tta: bool = False,
    batch_size: int = BATCH_SIZE,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Runs a network over images in order, in full precision, without changing it.

    Test-time augmentation averages the logits of six views, as airbench does (Jordan 2024,
    arXiv:2404.00498): the image and its mirror image count 1/4 each, both shifted by one pixel
    up and left, and down and right, with a reflected border, 1/8 each.

    Args:
        network: Maps normalised float images to logits; on any device, in any mode.
        images: uint8 (N, 3, S, S).
        mean: Of each channel, in [0, 1].
        std: Of each channel, in [0, 1].
        tta: Average over views.
        batch_size: Images at a time; the logits depend on it by rounding noise only.
        device: Where to compute; None takes the network's.
        progress: Called with the number of images just done, such as a tqdm bar's `update`.

    Returns:
        float32 (N, C) on the CPU.

    Raises:
        WeightsError: If a logit is not finite.
    """
    where = torch.device(device or next(network.parameters()).device)
    return _predict(network, images, tta, mean, std, batch_size, where, progress)[-1]  # (N, C)


@torch.inference_mode()
def evaluate_split(
    network: nn.Module,
    split: Split | Iterable[Split],
    label_names: Sequence[str],
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    batch_size: int = BATCH_SIZE,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
    limits: Doubt | None = None,
) -> dict[str, dict[str, Any]]:
    """Reports on a network over a split, with and without test-time augmentation.

    Args:
        network: As `predict_logits` takes it.
        split: The images, or pieces of them as `Source.iter_batches` gives; pieces of a multiple
            of `batch_size` images give exactly the numbers of the whole.
        label_names: Of all classes, in the order of the logits.
        mean: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        std: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        batch_size: Images at a time.
        device: Where to compute; None takes the network's.
        progress: Called with the number of images just done.

        limits: What a classifier knows about its limits; None leaves its answers out.

    Returns:
        {"plain": REPORT, "tta": REPORT}, each as `report` makes it, and with limits "calibrated":
        the report on a classifier's answers, from the mean logits of image and mirror image. Its
        key "confident" holds the share of confident answers and how many of those are right,
        without regard to the scope.

    Raises:
        DataError: If there are no images, or the labels do not fit the network.
        WeightsError: If a logit is not finite.
    """
    config: Any = network.pretrained_cfg if mean is None or std is None else {}
    mean, std = mean or config["mean"], std or config["std"]
    where = torch.device(device or next(network.parameters()).device)
    logits, labels, indices = [], [], []
    for part in [split] if isinstance(split, Split) else split:
        logits.append(_predict(network, part.images, True, mean, std, batch_size, where, progress))
        labels.append(part.labels.cpu())
        indices.append(part.indices.cpu())
    if not logits:
        raise DataError("There are no images to evaluate; check the split's name and size.")
    plain, mirrored, averaged = torch.cat(logits, dim=1)  # (N, C), (N, C), (N, C)
    answers = {"plain": plain, "tta": averaged}
    if limits:
        answers["calibrated"] = mirrored.double() / limits.temperature
    truth, rows = torch.cat(labels), torch.cat(indices)  # (N,), (N,)
    found = {name: report(values, truth, label_names, rows) for name, values in answers.items()}
    if limits:
        sure = _confident(answers["calibrated"], truth, limits.confident)
        found["calibrated"]["confident"] = _rounded(sure)
    return found


def look_at(
    network: nn.Module,
    images: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[Tensor, Tensor]:
    """Runs `scope.look` over images, in full precision, without changing the network.

    Args:
        network: A cifarnet, on any device, in any mode.
        images: uint8 (N, 3, S, S).
        mean: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        std: Of each channel, in [0, 1]; None takes the network's `pretrained_cfg`.
        batch_size: Images at a time.

    Returns:
        Logits (N, C) and features (N, D), float32 on the CPU.
    """
    config: Any = network.pretrained_cfg if mean is None or std is None else {}
    mean, std = mean or config["mean"], std or config["std"]
    device = next(network.parameters()).device
    with torch.inference_mode(), _exact(network, device) as run:
        seen = [
            [part.cpu() for part in scope.look(run, normalize(batch.to(device), mean, std))]
            for batch in images.split(batch_size)
        ]
    logits, features = zip(*seen, strict=True)
    return torch.cat(logits), torch.cat(features)  # (N, C), (N, D)


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
        count, accuracy, top5_accuracy, nll, ece, f1_macro, per_class, confusion_matrix,
        most_confused, confident_mistakes and reliability; fractions in 0..1, rounded to six
        digits; the confidence and accuracy of an empty reliability bin are None.

    Raises:
        DataError: If there are no images, or labels and names do not fit the logits.
    """
    _check(logits, labels, label_names)
    suite = metrics.suite(len(label_names))
    for x, y in zip(logits.split(1000), labels.split(1000), strict=True):
        suite.add_batch(predictions=x, references=y)
    values = suite.compute()
    columns = {name: values.pop(name) for name in ("precision", "recall", "f1", "support")}
    reliability, matrix = values.pop("reliability"), values.pop("confusion_matrix")
    values["per_class"] = {
        name: {column: columns[column][i] for column in columns}
        for i, name in enumerate(label_names)
    }
    values["confusion_matrix"] = matrix
    values["most_confused"] = _most_confused(np.asarray(matrix), label_names)
    values["confident_mistakes"] = _confident_mistakes(logits, labels, label_names, indices)
    values["reliability"] = reliability
    return _rounded(values)


def _predict(
    network: nn.Module,
    images: Tensor,
    tta: bool,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> Tensor:
    """Plain logits (1, N, C), or those that `_views` gives if `tta`."""
    answers: list[Tensor] = []
    with _exact(network, device) as run:
        for batch in images.split(batch_size):
            x = normalize(batch.to(device), mean, std)  # (n, 3, S, S)
            answer = _views(run, x) if tta else run(x)[None]  # (3 or 1, n, C)
            answers.append(answer.float().cpu())
            if progress:
                progress(len(batch))
    logits = torch.cat(answers, dim=1)  # (3 or 1, N, C)
    if not logits.isfinite().all():
        raise WeightsError(
            "The network answers with NaN or infinite numbers: its weights are damaged or its "
            "training diverged. Download the weights again, or train with a lower learning rate."
        )
    return logits


def _views(run: nn.Module, x: Tensor) -> Tensor:
    """Logits of images (n, 3, S, S) alone, with mirror images, and of six views: (3, n, C)."""
    plain = run(x)  # (n, C)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")  # (n, 3, S + 2, S + 2)
    shifted = torch.zeros_like(plain)
    for view in (padded[..., :-2, :-2], padded[..., 2:, 2:]):
        view = view.contiguous(memory_format=torch.channels_last)  # (n, 3, S, S)
        shifted += run(view) + run(view.flip(-1))
    both = plain + run(x.flip(-1))  # (n, C)
    return torch.stack((plain, both / 2, both / 4 + shifted / 8))  # (3, n, C)


@contextlib.contextmanager
def _exact(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """A copy of the network that computes the same whatever state the original is in.

    Always in evaluation mode, channels_last and full precision: the weights' order in memory
    decides which kernel runs, and with it the last digits.
    """
    run = copy.deepcopy(network).to(device, torch.float32).eval()
    run.__dict__.pop("forward", None)  # accelerate's, which computes in lower precision
    run.to(memory_format=torch.channels_last)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield run
    finally:
        torch.set_float32_matmul_precision(precision)


def _check(logits: Tensor, labels: Tensor, label_names: Sequence[str]) -> None:
    if len(labels) == 0:
        raise DataError("There are no images to evaluate; check the split's name and size.")
    if logits.shape[1] != len(label_names):
        raise DataError(
            f"The network knows {logits.shape[1]} classes, but {len(label_names)} label names were "
            "given; evaluate on a dataset with the classes that it was trained on."
        )
    if int(labels.min()) < 0 or int(labels.max()) >= len(label_names):
        wrong = labels[(labels < 0) | (labels >= len(label_names))][0]
        raise DataError(
            f"The dataset holds the label {int(wrong)}, but the network knows the classes 0 to "
            f"{len(label_names) - 1}; check the label column."
        )


def _confident(logits: Tensor, labels: Tensor, threshold: float) -> dict[str, Any]:
    """Of answers with at least this probability: their share, and the share of them right."""
    probability, predicted = logits.double().softmax(dim=1).max(dim=1)  # (N,), (N,)
    sure = probability >= threshold  # (N,)
    right = (predicted == labels)[sure].double()
    accuracy = float(right.mean()) if len(right) else None
    return {"threshold": threshold, "share": float(sure.double().mean()), "accuracy": accuracy}


def _most_confused(matrix: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs of true and predicted class that go wrong most often, the most frequent first."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))  # (C, C)
    order = np.argsort(-wrong, axis=None, kind="stable")[:TOP_CONFUSED]
    pairs = [divmod(int(i), len(matrix)) for i in order]
    return [
        {"true": names[t], "predicted": names[p], "count": int(wrong[t, p])}
        for t, p in pairs
        if wrong[t, p]
    ]


def _confident_mistakes(
    logits: Tensor, labels: Tensor, names: Sequence[str], indices: Tensor | None
) -> list[dict[str, Any]]:
    """The mistakes made with the highest probability, the most certain first."""
    values = logits.float().numpy()
    predicted = values.argmax(axis=1)  # (N,)
    probability = np.exp(metrics.log_softmax(values).max(axis=1))  # (N,)
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


if __name__ == "__main__":
    # The program stands above this module: it also needs the hub, which must not be known here.
    from model.reproduce import main

    main()
