"""Tests of the model card: every number is one of results.json; the hub reads the front matter."""

import hashlib
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import timm
from huggingface_hub import ModelCard

from model.hub import save_pretrained
from model.hub.card import model_card
from model.utils import files

ROOT = Path(__file__).resolve().parent.parent
CONFIG: dict[str, Any] = {
    "architecture": "cifarnet_nano",
    "pretrained_cfg": {"input_size": [3, 28, 28]},
}


@pytest.fixture
def results() -> dict[str, Any]:
    """Those of the default weights, which hold all that can be measured, with odd class names."""
    text = (ROOT / "results.json").read_text(encoding="utf-8")
    content = json.loads(text.replace('"ship"', '"big ship"').replace('"dog"', '"dog|<b>"'))
    content["dataset"]["name"] = "some-owner/three_kinds"
    content["training"]["machine"] = dict(content["machine"])  # as if one did it all
    return content


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
    (entry,) = index["results"]
    assert index["name"] == results["model"]["architecture"]
    assert entry["task"]["type"] == "image-classification"
    assert entry["dataset"]["type"] == "some-owner/three_kinds"
    assert entry["dataset"]["split"] == "test"
    plain, served = (results["test"][v] for v in ("plain", "calibrated"))
    assert [(metric["type"], metric["value"]) for metric in entry["metrics"]] == [
        ("accuracy", plain["accuracy"]),
        ("f1", plain["f1_macro"]),
        ("ece", plain["ece"]),
        ("accuracy", served["accuracy"]),
        ("ece", served["ece"]),
    ]
    assert len(card.data.eval_results) == 5  # the hub's own reader understands it


# Where a number stands in results.json, another one for that place, and how the card shows it.
SHOWN: list[tuple[str, Any, str]] = [
    ("test plain accuracy", 0.123456, "**12.35%**"),
    ("test calibrated count", 12, "69.7% to 99.5%"),
    ("test calibrated accuracy", 0.234567, "23.46% as `Classifier` answers"),
    ("test plain top5_accuracy", 0.345678, "34.57%"),
    ("test plain ece", 0.012345, "1.23%"),
    ("test plain nll", 1.234567, "1.2346"),
    ("test plain f1_macro", 0.456789, "0.4568"),
    ("validation plain accuracy", 0.345612, "34.56%"),
    ("model parameters", 1234567, "1,234,567"),
    ("model multiply_adds", 7654321, "7,654,321"),
    ("model architecture", "cifarnet_other", "# cifarnet_other on some-owner/three_kinds"),
    ("test plain per_class cat recall", 0.1119, "weakest class is cat: 11.2%"),
    ("test plain per_class cat precision", 0.2229, "22.3%"),
    ("test plain per_class cat f1", 0.1717, "0.172"),
    ("test plain per_class cat support", 1777, "1,777"),
    ("test plain most_confused 0 count", 123, "| cat | dog\\|&lt;b> | 123 | 12.3% |"),
    ("training seconds", 9876.54, "9,876.5 s"),
    ("training images_per_second", 5678.9, "5,679"),
    ("training peak_memory_mib", 1024.25, "1,024.2 MiB"),
    ("training recipe learning_rate", 0.0777, "| `learning_rate` | 0.0777 |"),
    ("training recipe resolution", [[0.4, 0.7], [1, 1]], "| `resolution` | 0.4:0.7, 1:1 |"),
    ("training date", "2027-01-02", "2027-01-02"),
    ("training machine cpu", "Slow Processor", "on 2 processor cores (Slow Processor)"),
    ("training machine device", "Some GPU", "on one Some GPU."),
    ("training machine memory_gib", 7.7, "7.7 GiB"),
    ("versions torch", "9.8.7", "torch 9.8.7"),
    ("dataset fingerprint train", "c3" * 32, "c3" * 32),
    ("dataset sizes train", 91919, "91,919"),
    ("calibration temperature", 0.77777, "temperature of 0.778"),
    ("calibration images", 4321, "4,321 validation images"),
    ("calibration confident threshold", 0.4141, "probability of 41.4%"),
    ("calibration confident share", 0.2198, "22.0% get a confident answer"),
    ("calibration confident accuracy", 0.3761, "37.6% of those right"),
    ("test calibrated nll", 0.5432, "| 0.5432 |"),
    ("scope kinds noise auroc", 0.1988, "| noise | 0.199 |"),
    ("scope as_sent kinds noise confident", 0.4567, "| 45.7% |"),
    ("scope as_sent mean accepted", 0.4242, "in 42% of the cases"),
    ("scope mean_auroc", 0.1512, "| **mean** | 0.151 |"),
    ("scope kept test", 0.1542, "15.4% of the test images"),
    ("scope images inside", 9988, "9,988 test images"),
    ("photographs right_when_confident share", 0.1234, "| 12.3% |"),
    ("photographs strangers_confident high", 0.4321, "| 43.2% |"),
    ("small_objects canvas", 257, "257 x 257"),
    ("explanations methods occlusion deletion", 0.1313, "| occlusion | 0.131 |"),
    ("latency cases", {"a": {"median": 8.04, "p90": 11.26}}, "| a | 8.0 | 11.3 |"),
    ("latency machine cpu", "Slow Processor 5", "cores (Slow Processor 5,"),
]


@pytest.mark.parametrize(("path", "value", "shown"), SHOWN)
def test_numbers_come_from_the_results(
    path: str, value: Any, shown: str, results: dict[str, Any]
) -> None:
    assert shown not in body(results)
    *keys, last = (int(key) if key.isdigit() else key for key in path.split(" "))
    place: Any = reduce(lambda place, key: place[key], keys, results)  # type: ignore[index]
    place[last] = value
    assert shown in body(results)


def test_tables_and_sentences(results: dict[str, Any]) -> None:
    text = body(results)
    report = results["test"]["plain"]
    for name, row in (("big ship", "big ship"), ("dog|<b>", "dog\\|&lt;b>")):
        numbers = report["per_class"][name]
        assert f"| {row} | {numbers['recall']:.1%} | {numbers['precision']:.1%} |" in text
    case, both = next(iter(results["small_objects"]["cases"].items()))
    assert f"| {case} | {both['whole']['right']:.1%} → {both['closer']['right']:.1%} |" in text
    bins = [row for row in report["reliability"] if row["count"]]
    stated = sum(row["count"] * row["confidence"] for row in bins) / report["count"]
    assert f"average {stated:.1%}, below its accuracy of {report['accuracy']:.1%}" in text
    assert "| energy | not measured |" in text
    assert "28 x 28" in text
    for block in text.replace("\\|", "").split("\n\n"):
        if block.startswith("|"):  # every row has as many cells as the head
            assert len({line.count("|") for line in block.strip().splitlines()}) == 1


@pytest.mark.parametrize(
    "key", ["calibration", "photographs", "scope", "small_objects", "explanations", "latency"]
)
def test_what_was_not_measured_is_left_out(key: str, results: dict[str, Any]) -> None:
    before = body(results).count("\n## ")
    del results[key]
    assert body(results).count("\n## ") == before - 1


def leave_out(results: dict[str, Any]) -> None:
    run = results["training"]
    run["peak_memory_mib"] = run["machine"]["memory_gib"] = None
    del results["training"]["processes"], results["training"]["date"]


def find_nearly_all(results: dict[str, Any]) -> None:
    for row in results["test"]["plain"]["per_class"].values():
        row["recall"] = 0.9996  # 100.0 % as it is written


def cut_to_three(report: dict[str, Any]) -> None:
    """Of three classes, the right one is always among the first five."""
    report["per_class"] = dict(list(report["per_class"].items())[:3])
    report["most_confused"] = []


def add_classes(results: dict[str, Any]) -> None:
    plain = results["test"]["plain"]
    plain["per_class"] = {f"kind {i}": plain["per_class"]["cat"] for i in range(100)}
    plain["most_confused"] = []


@pytest.mark.parametrize(
    ("change", "there", "gone"),
    [
        (lambda r: r.update(validation=None), "|  | test | test, as", "| validation"),
        (lambda r: r["test"].pop("calibrated"), "), after training on", "Classifier` answers,"),
        (leave_out, "| processes | 1 |", "None"),
        (leave_out, "energy", "peak memory"),
        (lambda r: r["test"]["plain"].update(most_confused=[]), "named correctly", "taken for"),
        (lambda r: r.pop("scope"), "still gets one of their names", "of the cases tried"),
        (lambda r: r["dataset"].update(name="uoft-cs/cifar10"), "Krizhevsky", "DATASET_FOLDER"),
        (lambda r: r["dataset"].update(name="synthetic"), "--dataset synthetic", "co/datasets"),
        (find_nearly_all, "No class is found much less often", "weakest class"),
        (lambda r: cut_to_three(r["test"]["plain"]), "macro F1", "top-5"),
        (add_classes, "<details><summary>All 100 classes</summary>", "| cat |"),
    ],
)  # fmt: skip
def test_special_cases(
    change: Callable[[dict[str, Any]], Any], there: str, gone: str, results: dict[str, Any]
) -> None:
    change(results)
    text = body(results)
    assert there in text
    assert gone not in text


def test_it_says_what_else_was_learned_from(results: dict[str, Any]) -> None:
    config = CONFIG | {"cifarnet": {"data": {"init_from": ".", "outliers": "synthetic"}}}
    text = " ".join(model_card(results, config).split())
    assert "It went on from the default weights of cifarnet." in text
    assert "learned what it does not know (generated shapes and noise)" in text
    config["cifarnet"]["data"]["outliers"] = "strangers"
    assert "not know (strangers, and generated shapes)" in model_card(results, config)


def test_a_model_that_can_answer_none_says_so(results: dict[str, Any]) -> None:
    del results["scope"]
    text = model_card(results, CONFIG | {"cifarnet": {"doubt": {"known": 1.5}}})
    assert "it is given a name all the same was not measured" in text
    assert "still gets one of their names" not in text


def test_a_missing_number_is_an_error_and_not_a_gap(results: dict[str, Any]) -> None:
    del results["test"]["plain"]["ece"]
    with pytest.raises(KeyError, match="ece"):
        model_card(results, CONFIG)


def test_local_datasets(results: dict[str, Any]) -> None:
    """Only their own names reach the results: `files.public_name`."""
    results["dataset"]["name"] = "pets"
    card = model_card(results, CONFIG)
    assert " on pets\n" in card
    assert "datasets" not in ModelCard(card).data.to_dict()
    assert "co/datasets" not in card


def test_saved_beside_the_weights(results: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("confident_mistakes", "per_class", "learning_curves"):
        (tmp_path / "figures" / f"{name}.png").write_bytes(b"")
    names = results["dataset"]["label_names"]
    network = timm.create_model("cifarnet_nano", num_classes=10)
    save_pretrained(network, tmp_path, label_names=names, results=results)
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert files.read_json(tmp_path / "results.json") == results | {"weights_sha256": digest}
    figures = ["figures/learning_curves.png", "figures/per_class.png"]
    text = (tmp_path / "README.md").read_text()
    assert text == model_card(results, files.read_json(tmp_path / "config.json"), figures=figures)
    places = [text.index(f"]({name})") for name in figures]
    assert places == sorted(places)
    assert "confusion_matrix.png" not in text
    assert "confident_mistakes" not in text  # of an earlier version: shows the dataset's pictures
    assert "## Figures" not in model_card(results, CONFIG)


def test_it_tells_how_to_load_it_and_what_to_cite(results: dict[str, Any]) -> None:
    here, there = body(results), body(results, repo_id="you/kinds")
    bare = model_card(None, CONFIG, repo_id="you/kinds")
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
