"""Tests of model.inference.classifier: any picture, alone or in a list, one honest answer."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import model
from model.hub import from_pretrained, save_pretrained
from model.inference import classifier as classifier_module
from model.inference.classifier import Classifier
from model.utils.errors import ConfigError, ImageError

NAMES = ["ant", "bee", "cat", "dog"]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
SIZE = 24


def make_network(classes: int = 4) -> Any:
    torch.manual_seed(0)
    network: Any = timm.create_model(
        "cifarnet_nano", num_classes=classes, widths=(8, 8, 16), depths=(1, 1, 1)
    )
    network.pretrained_cfg |= dict(mean=MEAN, std=STD, input_size=(3, SIZE, SIZE))
    with torch.no_grad():
        network.stem.conv.weight.normal_(generator=torch.Generator().manual_seed(1))
    return network.eval()


def pixels(seed: int = 0, side: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_pretrained(make_network(), tmp_path / "run", label_names=NAMES)


@pytest.fixture
def classify(saved: Path) -> Classifier:
    return Classifier.from_pretrained(saved)


@pytest.mark.usefixtures("in_float32")
def test_answer_is_that_of_the_network(classify: Classifier, saved: Path) -> None:
    image = pixels()
    x = (torch.tensor(image).permute(2, 0, 1)[None] / 255).double()  # (1, 3, 24, 24)
    x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.inference_mode():
        network = from_pretrained(saved)
        logits = (network(x.float()) + network(x.float().flip(-1)))[0].double() / 2
    odds = np.exp(logits.numpy() - logits.max().item())
    expected = odds / odds.sum()
    answer = classify(image)
    assert list(answer.probabilities) == [NAMES[i] for i in np.argsort(-expected)]
    np.testing.assert_allclose(list(answer.probabilities.values()), -np.sort(-expected), rtol=1e-4)
    assert answer.label == NAMES[int(expected.argmax())]
    assert answer.probability == answer.probabilities[answer.label]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.usefixtures("in_float32")
def test_a_large_picture_is_answered_by_the_mean_of_three_looks(classify: Classifier) -> None:
    image = np.random.default_rng(3).integers(0, 256, (80, 120, 3), np.uint8)
    boxes = ((20, 0, 100, 80), (26, 6, 94, 74), (0, 0, 120, 80))
    x = torch.stack([classify.preprocess(image, box) for box in boxes])  # (3, 3, 24, 24)
    logits = (classify.logits(x) + classify.logits(x.flip(-1))).double() / 2
    answer = classify(image)
    expected = logits.mean(0).softmax(0).tolist()
    found = [answer.probabilities[name] for name in NAMES]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert answer.scope == pytest.approx(float(logits.logsumexp(1).mean()), rel=1e-4)
    assert answer.box == boxes[0]


@pytest.mark.parametrize("count", [1, 17])
def test_logits_are_bit_for_bit_those_of_from_pretrained(
    count: int, classify: Classifier, saved: Path
) -> None:
    batch = torch.stack([classify.preprocess(pixels(i)) for i in range(count)])  # (N, 3, 24, 24)
    network = from_pretrained(saved)
    normalised = model.augment.normalize(batch, MEAN, STD)
    with torch.inference_mode():
        assert torch.equal(classify.logits(batch), network(normalised))


def test_forms_of_a_picture_agree(classify: Classifier, tmp_path: Path) -> None:
    image = Image.fromarray(pixels(side=50))
    path = tmp_path / "photo.png"
    image.save(path)
    forms: list[Any] = [image, np.asarray(image), path, str(path), path.read_bytes()]
    alone = [classify(form) for form in forms]
    assert all(answer == alone[0] for answer in alone)
    together = classify(forms)
    assert len(together) == len(forms)
    for answer in together:
        assert answer.label == alone[0].label
        assert answer.probability == pytest.approx(alone[0].probability, abs=1e-6)


def test_lists(classify: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert classify([]) == []
    images: list[Any] = [pixels(i) for i in range(7)]
    whole = classify(images)
    assert [answer.label for answer in classify(tuple(images))] == [a.label for a in whole]
    monkeypatch.setattr(classifier_module, "BATCH_SIZE", 3)
    for cut, answer in zip(classify(images), whole, strict=True):
        assert cut.label == answer.label
        assert cut.probability == pytest.approx(answer.probability, abs=1e-6)
    assert isinstance(classify([images[0]]), list)


def test_bad_pictures_are_named(classify: Classifier, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg does not exist"):
        classify(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match=r"Picture 1 of the list.*not a picture"):
        classify([pixels(), b"junk", pixels()])


def test_copies_answer_alike(classify: Classifier) -> None:
    expected = classify(pixels())
    for other in (
        copy.copy(classify),
        copy.deepcopy(classify),
        pickle.loads(pickle.dumps(classify)),
    ):
        assert other(pixels()) == expected
        assert other.network is not classify.network or other._fast is not classify._fast


def test_constructor() -> None:
    network = make_network().train()
    classify = Classifier(network, NAMES)
    assert classify(pixels()).label in NAMES
    assert not network.training
    assert Classifier(network).label_names == ("class 0", "class 1", "class 2", "class 3")
    with pytest.raises(ConfigError, match="2 label names for 4 classes"):
        Classifier(network, ["a", "b"])
    torch.nn.init.zeros_(network.head.fc.weight)  # ties keep the order of the classes
    answer = Classifier(network, NAMES)(pixels())
    assert list(answer.probabilities.items()) == [(name, 0.25) for name in NAMES]
    assert Classifier(make_network(1))(pixels()).top(5) == [("class 0", 1.0)]
