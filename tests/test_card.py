"""Tests of model.hub.card: every number is one of results.json; the hub reads the front matter."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import timm
from huggingface_hub import ModelCard

from model.hub import save_pretrained
from model.hub.card import model_card

CONFIG: dict[str, Any] = {"pretrained_cfg": {"input_size": [3, 28, 28]}}


def make_report(accuracy: float) -> dict[str, Any]:
    return {
        "count": 600,
        "accuracy": accuracy,
        "top5_accuracy": 0.991234,
        "nll": 0.345678,
        "ece": 0.056789,
        "f1_macro": 0.812345,
        "per_class": {
            "cat": {"precision": 0.71, "recall": 0.62, "f1": 0.661955, "support": 201},
            "big dog": {"precision": 0.83, "recall": 0.94, "f1": 0.881582, "support": 199},
            "eel|<b>": {"precision": 0.95, "recall": 0.96, "f1": 0.954974, "support": 200},
        },
        "confusion_matrix": [[125, 70, 6], [12, 187, 0], [4, 4, 192]],
        "most_confused": [
            {"true": "cat", "predicted": "big dog", "count": 70},
            {"true": "big dog", "predicted": "cat", "count": 12},
        ],
        "confident_mistakes": [
            {"index": 17, "true": "cat", "predicted": "big dog", "probability": 0.9876}
        ],
        "reliability": [
            {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1.0, "count": 600, "confidence": 0.777, "accuracy": accuracy},
        ],
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return {
        "version": 1,
        "model": {"architecture": "cifarnet_nano", "parameters": 292123, "multiply_adds": 21345678},
        "dataset": {
            "name": "some-owner/three_kinds",
            "label_names": ["cat", "big dog", "eel|<b>"],
            "fingerprint": {"train": "a1" * 32, "test": "b2" * 32},
            "sizes": {"train": 5400, "validation": 601, "test": 602},
        },
        "validation": {"plain": make_report(0.821111), "tta": make_report(0.832222)},
        "test": {"plain": make_report(0.841234), "tta": make_report(0.857654)},
        "training": {
            "recipe": {"epochs": 7, "learning_rate": 0.0815, "resolution": [[0.4, 0.75], [1, 1]]},
            "seconds": 1234.56,
            "images_per_second": 4321.9,
            "peak_memory_mib": 876.5,
            "processes": 2,
            "date": "2026-11-23",
            "epochs": [{"epoch": i, "train_loss": 1.0} for i in range(7)],
        },
        "machine": {
            "cpu": "Fast Processor 3000",
            "cores": 3,
            "device": "cpu",
            "memory_gib": 15.5,
            "system": "Linux x86_64",
        },
        "versions": {"python": "3.11.9", "torch": "2.15.0"},
    }


def body(card: str) -> str:
    return ModelCard(card).text


def test_front_matter(results: dict[str, Any]) -> None:
    card: Any = ModelCard(model_card(results, CONFIG))
    data = card.data.to_dict()
    assert data["library_name"] == "timm"
    assert data["license"] == "apache-2.0"
    assert data["pipeline_tag"] == "image-classification"
    assert data["datasets"] == ["some-owner/three_kinds"]
    assert data["metrics"] == ["accuracy", "f1"]
    (index,) = data["model-index"]
    assert index["name"] == "cifarnet_nano"
    (entry,) = index["results"]
    assert entry["task"]["type"] == "image-classification"
    assert entry["dataset"]["type"] == "some-owner/three_kinds"
    assert entry["dataset"]["split"] == "test"
    measured = [(metric["type"], metric["value"]) for metric in entry["metrics"]]
    assert measured == [
        ("accuracy", 0.841234),
        ("accuracy", 0.857654),
        ("f1", 0.812345),
        ("ece", 0.056789),
    ]
    assert len(card.data.eval_results) == 4  # the hub's own reader understands it


SHOWN: list[tuple[tuple[Any, ...], Any, str]] = [
    (("test", "plain", "accuracy"), 0.123456, "12.35%"),
    (("test", "tta", "accuracy"), 0.234567, "23.46%"),
    (("test", "plain", "top5_accuracy"), 0.345678, "34.57%"),
    (("test", "plain", "ece"), 0.012345, "1.23%"),
    (("test", "plain", "nll"), 1.234567, "1.2346"),
    (("test", "plain", "f1_macro"), 0.456789, "0.4568"),
    (("validation", "plain", "accuracy"), 0.345612, "34.56%"),
    (("validation", "tta", "accuracy"), 0.345112, "34.51%"),
    (("model", "parameters"), 1234567, "1,234,567"),
    (("model", "multiply_adds"), 7654321, "7,654,321"),
    (("model", "architecture"), "cifarnet_other", "cifarnet_other"),
    (("test", "plain", "per_class", "cat", "recall"), 0.1119, "11.2%"),
    (("test", "plain", "per_class", "cat", "precision"), 0.2229, "22.3%"),
    (("test", "plain", "per_class", "cat", "f1"), 0.3333, "0.333"),
    (("test", "plain", "per_class", "cat", "support"), 1777, "1,777"),
    (("test", "plain", "most_confused", 0, "count"), 1999, "1,999"),
    (("test", "plain", "reliability", 1, "confidence"), 0.6543, "65.4%"),
    (("training", "seconds"), 9876.54, "9,876.5 s"),
    (("training", "images_per_second"), 5678.9, "5,679"),
    (("training", "peak_memory_mib"), 1024.25, "1,024.2 MiB"),
    (("training", "recipe", "learning_rate"), 0.0777, "0.0777"),
    (("training", "date"), "2027-01-02", "2027-01-02"),
    (("machine", "cpu"), "Slow Processor", "Slow Processor"),
    (("machine", "memory_gib"), 7.7, "7.7 GiB"),
    (("versions", "torch"), "9.8.7", "torch 9.8.7"),
    (("dataset", "fingerprint", "train"), "c3" * 32, "c3" * 32),
    (("dataset", "sizes", "train"), 91919, "91,919"),
]


def test_a_class_that_rounds_to_all_found_is_not_called_weak(results: dict[str, Any]) -> None:
    for row in results["test"]["plain"]["per_class"].values():
        row["recall"] = 0.9996  # 100.0 % as it is written
    text = body(model_card(results, CONFIG))
    assert "weakest class" not in text
    assert "No class stands out as weak" in text


@pytest.mark.parametrize(("path", "value", "shown"), SHOWN)
def test_numbers_come_from_the_results(
    path: tuple[Any, ...], value: Any, shown: str, results: dict[str, Any]
) -> None:
    before = model_card(results, CONFIG)
    assert shown not in before
    changed = copy.deepcopy(results)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert shown in body(model_card(changed, CONFIG))


def test_tables(results: dict[str, Any]) -> None:
    text = body(model_card(results, CONFIG))
    assert "| big dog | 94.0% | 83.0% | 0.882 | 199 |" in text
    assert "| cat | big dog | 70 | 34.8% |" in text  # 70 of 201
    assert "| `resolution` | 0.4:0.75, 1:1 |" in text
    assert "28 x 28" in text
    assert "weakest class is cat: 62.0%" in text
    assert "average 77.7%, below its accuracy of 84.1%" in text
    assert "MODEL" in text
    for line in (line for line in text.splitlines() if line.startswith("| eel")):
        assert line.startswith("| eel\\|&lt;b> |")


def test_tables_are_rectangular(results: dict[str, Any]) -> None:
    text = body(model_card(results, CONFIG)).replace("\\|", "")
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_without_validation(results: dict[str, Any]) -> None:
    text = body(model_card({**results, "validation": None}, CONFIG))
    header = next(line for line in text.splitlines() if line.startswith("|"))
    assert header == "|  | test | test, averaged over six views |"
    assert "82.11%" not in text


def test_optional_measurements(results: dict[str, Any]) -> None:
    results["training"]["peak_memory_mib"] = None
    results["machine"]["memory_gib"] = None
    del results["training"]["processes"], results["training"]["date"]
    text = body(model_card(results, CONFIG))
    assert "None" not in text
    assert "peak memory" not in text


def test_without_mistakes(results: dict[str, Any]) -> None:
    results["test"]["plain"]["most_confused"] = []
    assert "every test image was named correctly" in body(model_card(results, CONFIG))


def test_accelerator_is_named(results: dict[str, Any]) -> None:
    assert "on 3 processor cores (Fast Processor 3000)" in body(model_card(results, CONFIG))
    results["machine"]["device"] = "Some GPU"
    assert "on Some GPU." in body(model_card(results, CONFIG))


def test_many_classes_are_folded_away(results: dict[str, Any]) -> None:
    row = results["test"]["plain"]["per_class"]["cat"]
    names = [f"kind {i}" for i in range(100)]
    results["dataset"]["label_names"] = names
    results["test"]["plain"]["per_class"] = dict.fromkeys(names, row)
    results["test"]["plain"]["most_confused"] = []
    text = body(model_card(results, CONFIG))
    assert "<details><summary>All 100 classes</summary>" in text
    assert "| kind 99 |" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [("/home/somebody/data/pets", "pets"), ("./pets", "pets"), ("synthetic", "synthetic")],
)
def test_local_datasets(name: str, shown: str, results: dict[str, Any]) -> None:
    results["dataset"]["name"] = name
    card = model_card(results, CONFIG)
    assert "somebody" not in card
    assert f"# cifarnet_nano on {shown}\n" in card
    assert "datasets" not in ModelCard(card).data.to_dict()
    assert "huggingface.co/datasets" not in card


def test_folder_that_looks_like_a_hub_id(
    results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some-owner" / "three_kinds").mkdir(parents=True)
    assert "datasets" not in ModelCard(model_card(results, CONFIG)).data.to_dict()


def test_figures(results: dict[str, Any]) -> None:
    assert "## Figures" not in model_card(results, CONFIG)
    names = ["zebra.png", "per_class.png", "learning_curves.png"]
    text = body(model_card(results, CONFIG, figures=names))
    places = [text.index(f"](figures/{name})") for name in names]
    assert places[2] < places[1] < places[0]
    assert "confusion_matrix.png" not in text


def test_saved_beside_the_weights(results: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "reliability.png").write_bytes(b"")
    network = timm.create_model("cifarnet_nano", num_classes=3)
    names = results["dataset"]["label_names"]
    save_pretrained(network, tmp_path, label_names=names, results=results)
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    kept = results | {"weights_sha256": digest}
    assert json.loads((tmp_path / "results.json").read_text()) == kept
    config = json.loads((tmp_path / "config.json").read_text())
    expected = model_card(results, config, figures=["reliability.png"])
    assert (tmp_path / "README.md").read_text() == expected
    assert "(figures/reliability.png)" in expected


def test_it_tells_how_to_load_it_and_what_to_cite(results: dict[str, Any]) -> None:
    here = model_card(results, CONFIG)
    there = model_card(results, CONFIG, repo_id="you/kinds")
    assert "local-dir:MODEL" in here
    assert "MODEL" not in there
    for way in (
        'Classifier.from_pretrained("you/kinds")',
        'network = from_pretrained("you/kinds")',
        'timm.create_model("hf-hub:you/kinds", pretrained=True)',
        'transformers.pipeline("image-classification", "you/kinds")',
        "python -m model photo.jpg --model you/kinds",
    ):
        assert way in there
    for text in (here, there):
        assert "## Citation" in text
        assert "@misc{cifarnet," in text
        assert "| energy | not measured |" in text
    assert "Krizhevsky" not in here
    results["dataset"]["name"] = "uoft-cs/cifar10"
    assert "Krizhevsky" in model_card(results, CONFIG)
