"""Logits, reports and the command line of evaluation, against values worked out independently."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

import model  # noqa: F401  (registers the networks)
from benchmarks.speed import six_views
from model.data import LabelledImages
from model.evaluation.report import evaluate_split, report
from model.inference import logits as logits_module
from model.inference.calibration import Calibration, energy
from model.inference.logits import both_views, predict, predict_logits
from model.utils.errors import DataError, WeightsError

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
NAMES = ["ant", "bee", "cow"]


class Patchwork(nn.Module):
    """Sees where things are: a strided convolution, dropout and a linear layer."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, stride=3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 2 * 2, classes)
        self.pretrained_cfg = {"mean": MEAN, "std": STD}

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)))  # (N, 4, 2, 2)
        return self.fc(self.drop(x.flatten(1)))  # (N, classes)


def some_images(n: int, seed: int = 0, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def by_hand(network: nn.Module, images: Tensor) -> Tensor:
    """Logits from the definition, in double precision: (N, C)."""
    x = images.double().numpy() / 255
    x = (x - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    reference = Patchwork(network.fc.out_features).double().eval()  # type: ignore[union-attr, arg-type]
    reference.load_state_dict(network.state_dict())
    with torch.no_grad():
        return reference(torch.tensor(x))


def shift(images: Tensor, by: int) -> Tensor:
    """Moves content by pixels down and right (up and left if negative), borders reflected."""
    size = images.shape[-1]
    at = [abs(i - by) if i - by < size else 2 * (size - 1) - (i - by) for i in range(size)]
    return images[:, :, at][:, :, :, at]


def make_split(n: int, classes: int = 3) -> LabelledImages:
    labels = torch.arange(n) % classes
    return LabelledImages(images=some_images(n), labels=labels, indices=torch.arange(n) * 10 + 3)


def test_logits_of_one_two_and_six_views_follow_the_definition() -> None:
    network, images = Patchwork(), some_images(7)
    plain, mirrored = predict(network, images, both_views)
    (averaged,) = predict(network, images, six_views)
    assert plain.dtype == torch.float32
    assert plain.device.type == "cpu"
    torch.testing.assert_close(plain, predict_logits(network, images))
    expected, flipped = by_hand(network, images), by_hand(network, images.flip(-1))
    torch.testing.assert_close(plain.double(), expected, rtol=1e-4, atol=1e-5)
    both = (expected + flipped) / 2
    torch.testing.assert_close(mirrored.double(), both, rtol=1e-4, atol=1e-5)
    views = both / 2
    for by in (1, -1):
        for view in (shift(images, by), shift(images, by).flip(-1)):
            views += by_hand(network, view) / 8
    torch.testing.assert_close(averaged.double(), views, rtol=1e-4, atol=1e-5)


def test_the_network_is_left_as_it_was() -> None:
    network = Patchwork().train()
    network.norm.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict(network, some_images(4), both_views)
    assert network.training
    assert network.drop.training
    assert not network.norm.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert value.stride() == before[name].stride(), name
    assert not any(value.is_inference() for value in network.parameters())


def test_logits_do_not_depend_on_mode_weight_order_or_precision() -> None:
    network: Any = timm.create_model("cifarnet_nano", num_classes=3)
    images = some_images(6, size=32)
    expected = predict_logits(network.eval(), images)
    network = network.train().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(predict_logits(network, images), expected)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    prepared = accelerator.prepare(network)  # its forward computes in bfloat16 from now on
    assert torch.equal(predict_logits(prepared, images), expected)


def test_nan_weights_are_named() -> None:
    network = Patchwork()
    nn.init.constant_(network.fc.bias, float("nan"))
    with pytest.raises(WeightsError, match="NaN or infinite"):
        predict_logits(network, some_images(2))


# Probabilities worked out: row i of P, true classes below; predictions are 0, 1, 1, 0, 2.
P = torch.tensor(
    [[0.7, 0.2, 0.1], [0.1, 0.82, 0.08], [0.3, 0.6, 0.1], [0.9, 0.06, 0.04], [0.1, 0.2, 0.7]]
)
TRUE = torch.tensor([0, 1, 0, 1, 2])


def test_report_by_hand() -> None:
    result = report(P.log(), TRUE, NAMES, indices=torch.tensor([5, 6, 70, 80, 9]))
    assert result["accuracy"] == 0.6
    # Confidences 0.7, 0.82, 0.6, 0.9, 0.7: right, right, wrong, wrong, right; 0.7 twice in a bin.
    assert result["ece"] == pytest.approx((2 * 0.3 + 0.18 + 0.6 + 0.9) / 5, abs=1e-6)
    assert result["per_class"] == {
        "ant": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "bee": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "cow": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1},
    }
    assert result["most_confused"] == [
        {"true": "ant", "predicted": "bee", "count": 1},
        {"true": "bee", "predicted": "ant", "count": 1},
    ]
    first, second = result["confident_mistakes"]
    assert first == {"index": 80, "true": "bee", "predicted": "ant", "probability": 0.9}
    assert second == {"index": 70, "true": "ant", "predicted": "bee", "probability": 0.6}


def test_most_confused_and_mistakes_are_sorted_and_cut() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(500, 6, generator=generator)
    labels = torch.randint(0, 6, (500,), generator=generator)
    result = report(logits, labels, list("abcdef"))
    counts = [row["count"] for row in result["most_confused"]]
    off_diagonal = np.array(result["confusion_matrix"])[~np.eye(6, dtype=bool)]
    assert counts == sorted(off_diagonal, reverse=True)[:10]
    p, predicted = logits.double().softmax(1).max(1)
    expected = sorted(p[predicted != labels].tolist(), reverse=True)[:20]
    shown = [row["probability"] for row in result["confident_mistakes"]]
    assert shown == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (TRUE, ["ant", "bee"], "3 classes, but 2 label names"),
        (TRUE + 1, NAMES, "label 3, but the network knows the classes 0 to 2"),
        (TRUE - 1, NAMES, "label -1"),
        (TRUE[:0], NAMES, "no images"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        report(P.log()[: len(labels)], labels, names)


def test_evaluate_split_reports_a_single_look() -> None:
    network, split = Patchwork(), make_split(30)
    reports = evaluate_split(network, split, NAMES)
    plain = predict(network, split.images, both_views)[0]
    assert reports == {"plain": report(plain, split.labels, NAMES, split.indices)}
    assert reports["plain"]["confident_mistakes"][0]["index"] % 10 == 3


def test_a_classifiers_answers_are_reported_too() -> None:
    """The mean over image and mirror image, divided by the temperature."""
    network, split = Patchwork(), make_split(30)
    found = evaluate_split(
        network, split, NAMES, calibration=Calibration(temperature=0.5, confident=0.6)
    )
    mirrored = by_hand(network, split.images) + by_hand(network, split.images.flip(-1))
    wanted = report(mirrored, split.labels, NAMES, split.indices)  # / 2 and / 0.5 cancel out
    sure = found["calibrated"].pop("confident")
    assert found["calibrated"]["accuracy"] == wanted["accuracy"]
    for name in ("nll", "ece"):
        assert found["calibrated"][name] == pytest.approx(wanted[name], abs=1e-4)
    best, guess = mirrored.softmax(dim=1).max(dim=1)
    assert sure["threshold"] == 0.6
    assert sure["share"] == pytest.approx(float((best >= 0.6).double().mean()), abs=1e-6)
    right = (guess == split.labels)[best >= 0.6].double().mean()
    assert sure["accuracy"] == pytest.approx(float(right), abs=1e-6)
    found = evaluate_split(network, split, NAMES, calibration=Calibration(confident=1.0))
    nobody = {"threshold": 1.0, "share": 0.0, "accuracy": None, "none": 0.0}
    assert found["calibrated"]["confident"] == nobody
    middle = float(energy(mirrored / 2).median())
    strict = Calibration(temperature=0.5, confident=0.6, known=middle)
    found = evaluate_split(network, split, NAMES, calibration=strict)
    less = found["calibrated"]["confident"]
    assert less["none"] == pytest.approx(0.5, abs=0.05)  # many have the same energy
    assert less["share"] < sure["share"]


def test_pieces_of_a_split_give_the_numbers_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_module, "BATCH_SIZE", 10)
    network, whole = Patchwork(), make_split(50)
    pieces = [
        LabelledImages(
            whole.images[i : i + 20], whole.labels[i : i + 20], whole.indices[i : i + 20]
        )
        for i in (0, 20, 40)
    ]
    expected = evaluate_split(network, whole, NAMES)
    assert evaluate_split(network, iter(pieces), NAMES) == expected
