"""Tests of the model card: every number is one of results.json; the hub reads the front matter."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import timm
from huggingface_hub import ModelCard

from model.hub import save_pretrained
from model.hub.card import model_card

CONFIG: dict[str, Any] = {"pretrained_cfg": {"input_size": [3, 28, 28]}}


def make_report(accuracy: float, **more: Any) -> dict[str, Any]:
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
        "most_confused": [
            {"true": "cat", "predicted": "big dog", "count": 70},
            {"true": "big dog", "predicted": "cat", "count": 12},
        ],
        "reliability": [
            {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1.0, "count": 600, "confidence": 0.777, "accuracy": accuracy},
        ],
        **more,
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


@pytest.fixture
def measured(results: dict[str, Any]) -> dict[str, Any]:
    """With everything that the benchmarks add about the classifier."""

    def both(right: float, named: float) -> dict[str, float]:
        wrong = {"named and wrong": 0.0213, "sure and wrong": 0.0111}
        return {"right": right, "named and right": named, **wrong}

    calibrated = make_report(0.8522, ece=0.0077, nll=0.5432)
    for split in ("validation", "test"):
        results[split]["calibrated"] = calibrated
    method = {
        "mean_auroc": 0.9512,
        "mean_accepted": 0.1444,
        "kinds": {"noise": {"auroc": 0.9988, "accepted": 0.0123}},
    }
    return results | {
        "calibration": {
            "temperature": 0.53121,
            "images": 4321,
            "confident": {"threshold": 0.8141, "share": 0.9198, "accuracy": 0.9761},
        },
        "scope": method
        | {
            "method": "energy",
            "kept": {"validation": 0.9501, "test": 0.9542},
            "images": {"inside": 9999, "each kind": 456},
            "as_sent": {
                "kinds": {"noise": {"accepted": 0.0345, "confident": 0.0067}},
                "mean": {"accepted": 0.4242, "confident": 0.0888},
            },
            "methods": {"energy": method, "maximum logit": {**method, "mean_auroc": 0.8765}},
        },
        "photographs": {
            "images": 200,
            "canvas": 256,
            "cases": {
                "96 px on plain": {"whole": both(0.2531, 0.1111), "closer": both(0.7652, 0.6666)}
            },
        },
        "explanations": {
            "method": "occlusion",
            "images": 500,
            "methods": {"occlusion": {"deletion": 0.3131, "insertion": 0.8181}},
        },
        "latency": {
            "rounds": 60,
            "threads": 2,
            "machine": {"cpu": "Slow Processor 5", "cores": 4, "device": "cpu"},
            "cases": {"one picture": {"median": 8.04, "p90": 11.26}},
        },
    }


def body(results: dict[str, Any] | None, **options: Any) -> str:
    """The card without its front matter, each paragraph on one line."""
    text = ModelCard(model_card(results, CONFIG, **options)).text
    blocks = (b if b.startswith("|") else " ".join(b.split()) for b in text.split("\n\n"))
    return "\n\n".join(blocks)


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
    assert (entry["dataset"]["type"], entry["dataset"]["split"]) == (
        "some-owner/three_kinds",
        "test",
    )
    assert [(metric["type"], metric["value"]) for metric in entry["metrics"]] == [
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


@pytest.mark.parametrize(("path", "value", "shown"), SHOWN)
def test_numbers_come_from_the_results(
    path: tuple[Any, ...], value: Any, shown: str, results: dict[str, Any]
) -> None:
    assert shown not in model_card(results, CONFIG)
    changed = copy.deepcopy(results)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert shown in body(changed)


def test_tables(results: dict[str, Any]) -> None:
    text = body(results)
    assert "| big dog | 94.0% | 83.0% | 0.882 | 199 |" in text
    assert "| cat | big dog | 70 | 34.8% |" in text  # 70 of 201
    assert "| `resolution` | 0.4:0.75, 1:1 |" in text
    assert "| eel\\|&lt;b> | 96.0% |" in text
    assert "28 x 28" in text
    assert "weakest class is cat: 62.0%" in text
    assert "average 77.7%, below its accuracy of 84.1%" in text
    assert "| energy | not measured |" in text
    for block in text.replace("\\|", "").split("\n\n"):
        if block.startswith("|"):  # every row has as many cells as the head
            assert len({line.count("|") for line in block.strip().splitlines()}) == 1


def test_every_number_about_the_classifier(measured: dict[str, Any]) -> None:
    text = body(measured)
    for part in (
        "temperature of 0.531",
        "4,321 validation images",
        "| test, as the network comes | 84.12% | 5.68% | 0.3457 |",
        "| test, calibrated | 85.22% | 0.77% | 0.5432 |",
        "probability of 81.4%",
        "92.0% get a confident answer; 97.6% of those are right",
        "| noise | 0.999 | 1.2% | 3.5% | 0.7% |",
        "| **mean** | 0.951 | 14.4% | 42.4% | 8.9% |",
        "| maximum logit | 0.876 | 14.4% |",
        "95.0% of the validation images and 95.4% of the test images",
        "| 96 px on plain | 25.3% → 76.5% | 11.1% → 66.7% | 2.1% → 2.1% | 1.1% → 1.1% |",
        "On 4 processor cores (Slow Processor 5, 2 threads)",
        "| one picture | 8.0 | 11.3 |",
        "| occlusion | 0.313 | 0.818 |",
        "in 42% of the cases",
        "(85.22% as `Classifier` answers",
    ):
        assert part in text
    (entry,) = ModelCard(model_card(measured, CONFIG)).data.to_dict()["model-index"][0]["results"]
    assert [metric["value"] for metric in entry["metrics"][4:]] == [0.8522, 0.0077]


@pytest.mark.parametrize("key", ["calibration", "scope", "photographs", "explanations", "latency"])
def test_what_was_not_measured_is_left_out(key: str, measured: dict[str, Any]) -> None:
    before = body(measured).count("\n## ")
    del measured[key]
    assert body(measured).count("\n## ") == before - 1


def leave_out(results: dict[str, Any]) -> None:
    results["training"]["peak_memory_mib"] = results["machine"]["memory_gib"] = None
    del results["training"]["processes"], results["training"]["date"]


def find_nearly_all(results: dict[str, Any]) -> None:
    for row in results["test"]["plain"]["per_class"].values():
        row["recall"] = 0.9996  # 100.0 % as it is written


def add_classes(results: dict[str, Any]) -> None:
    plain = results["test"]["plain"]
    plain["per_class"] = {f"kind {i}": plain["per_class"]["cat"] for i in range(100)}
    plain["most_confused"] = []


@pytest.mark.parametrize(
    ("change", "there", "gone"),
    [
        (lambda r: r.update(validation=None), "|  | test | test, averaged", "82.11%"),
        (leave_out, "| processes | 1 |", "None"),
        (leave_out, "energy", "peak memory"),
        (lambda r: r["test"]["plain"].update(most_confused=[]), "named correctly", "taken for"),
        (lambda r: r["machine"].update(device="Some GPU"), "on Some GPU.", "(Fast Processor"),
        (lambda r: r, "on 3 processor cores (Fast Processor 3000)", "Krizhevsky"),
        (lambda r: r["dataset"].update(name="uoft-cs/cifar10"), "Krizhevsky", "DATASET_FOLDER"),
        (find_nearly_all, "No class stands out as weak", "weakest class"),
        (add_classes, "<details><summary>All 100 classes</summary>", "| cat |"),
        (lambda r: r["dataset"].update(name="synthetic"), "--dataset synthetic", "co/datasets"),
    ],
)
def test_special_cases(
    change: Callable[[dict[str, Any]], Any], there: str, gone: str, results: dict[str, Any]
) -> None:
    change(results)
    text = body(results)
    assert there in text
    assert gone not in text


def test_a_missing_number_is_an_error_and_not_a_gap(results: dict[str, Any]) -> None:
    del results["test"]["plain"]["ece"]
    with pytest.raises((KeyError, jinja2.UndefinedError), match="ece"):
        model_card(results, CONFIG)


@pytest.mark.parametrize("name", ["/home/somebody/data/pets", "./pets", "some/pets"])
def test_local_datasets(
    name: str, results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are private; a folder that looks like a hub id is no dataset on the hub."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some" / "pets").mkdir(parents=True)
    results["dataset"]["name"] = name
    card = model_card(results, CONFIG)
    assert "somebody" not in card
    assert "# cifarnet_nano on pets\n" in card
    assert "datasets" not in ModelCard(card).data.to_dict()
    assert "co/datasets" not in card


def test_figures(results: dict[str, Any]) -> None:
    assert "## Figures" not in model_card(results, CONFIG)
    names = ["zebra.png", "per_class.png", "learning_curves.png"]
    text = body(results, figures=names)
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
    here, there = body(results), body(results, repo_id="you/kinds")
    bare = model_card(None, CONFIG | {"architecture": "cifarnet_nano"}, repo_id="you/kinds")
    assert "nothing is claimed of them" in bare
    assert "local-dir:MODEL" in here
    for way in (
        'Classifier.from_pretrained("you/kinds")',
        'network = from_pretrained("you/kinds")',
        'timm.create_model("hf-hub:you/kinds", pretrained=True)',
        'transformers.pipeline("image-classification", "you/kinds")',
        "python -m model photo.jpg --model you/kinds",
    ):
        assert way in there
        assert way in bare
    assert "MODEL" not in there + bare
    assert "year = {2026}, howpublished = {Source code and weights} }" in here
    assert "howpublished = {Model you/kinds on the Hugging Face hub}" in there
