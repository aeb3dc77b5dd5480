"""Tests of the model card's parts on the classifier: every number is one of results.json."""

import copy
from pathlib import Path
from typing import Any

import pytest

from model.hub.card import model_card
from model.hub.card_classifier import sections
from model.utils import files

CONFIG: dict[str, Any] = {"pretrained_cfg": {"input_size": [3, 32, 32]}}
ROOT = Path(__file__).resolve().parent.parent


def both(right: float, named: float) -> dict[str, float]:
    wrong = {"named and wrong": 0.0213, "sure and wrong": 0.0111}
    return {"right": right, "named and right": named, **wrong}


@pytest.fixture
def results() -> dict[str, Any]:
    plain = {"accuracy": 0.8412, "ece": 0.1234, "nll": 0.6543}
    calibrated = {"accuracy": 0.8522, "ece": 0.0077, "nll": 0.5432}
    reports = {"plain": plain, "calibrated": calibrated}
    method = {
        "mean_auroc": 0.9512,
        "mean_accepted": 0.1444,
        "kept": 0.9512,
        "kinds": {"noise": {"auroc": 0.9988, "accepted": 0.0123}},
    }
    return {
        "test": reports,
        "validation": copy.deepcopy(reports),
        "calibration": {
            "temperature": 0.53121,
            "images": 4321,
            "confident": {"threshold": 0.8141, "share": 0.9198, "accuracy": 0.9761},
        },
        "scope": {
            "method": "energy",
            "kept": {"validation": 0.9501, "test": 0.9542},
            "images": {"inside": 9999, "each kind": 456},
            **{key: method[key] for key in ("mean_auroc", "mean_accepted", "kinds")},
            "as_sent": {
                "kinds": {"noise": {"accepted": 0.0345, "confident": 0.0067}},
                "mean": {"accepted": 0.1999, "confident": 0.0888},
            },
            "methods": {"energy": method, "maximum logit": {**method, "mean_auroc": 0.8765}},
        },
        "small_objects": {
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


def test_every_number_is_shown(results: dict[str, Any]) -> None:
    text = "\n\n".join(sections(results))
    assert "temperature of 0.531" in text
    assert "4,321 validation images" in text
    assert "| test, as the network comes | 84.12% | 12.34% | 0.6543 |" in text
    assert "| test, calibrated | 85.22% | 0.77% | 0.5432 |" in text
    assert "probability of 81.4%" in text
    assert "92.0% get a confident answer; 97.6% of those are right" in text
    assert "| noise | 0.999 | 1.2% | 3.5% | 0.7% |" in text
    assert "| **mean** | 0.951 | 14.4% | 20.0% | 8.9% |" in text
    assert "| maximum logit | 0.876 | 14.4% |" in text
    assert "95.0% of the validation images and 95.4% of the test images" in text
    assert "| 96 px on plain | 25.3% → 76.5% | 11.1% → 66.7% | 2.1% → 2.1% | 1.1% → 1.1% |" in text
    assert "On 4 processor cores (Slow Processor 5, 2 threads)" in text
    assert "| one picture | 8.0 | 11.3 |" in text
    assert "| occlusion | 0.313 | 0.818 |" in text


@pytest.mark.parametrize(
    "key", ["calibration", "scope", "small_objects", "explanations", "latency"]
)
def test_what_was_not_measured_is_left_out(results: dict[str, Any], key: str) -> None:
    whole = sections(results)
    del results[key]
    assert len(whole) == 5
    assert len(sections(results)) == 4


def test_a_split_without_validation(results: dict[str, Any]) -> None:
    results["validation"] = None
    assert "| validation" not in sections(results)[0]


def test_the_default_card_says_what_is_wrongly_accepted() -> None:
    results = files.read_json(ROOT / "results.json")
    if "scope" not in results:
        pytest.skip("the default weights know no limits")
    results["scope"]["as_sent"] = {
        "kinds": {kind: {"accepted": 0.1, "confident": 0.1} for kind in results["scope"]["kinds"]},
        "mean": {"accepted": 0.4242, "confident": 0.1},
    }
    assert "in 42% of the cases" in model_card(results, CONFIG)
