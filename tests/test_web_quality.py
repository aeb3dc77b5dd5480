"""What the page tells about quality is what results.json holds, in words and in pictures."""

import copy
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from web import charts, doubts, matrix, report

RESULTS = json.loads((ROOT / "results.json").read_text())
PLAIN = RESULTS["test"]["plain"]
LABELS = RESULTS["dataset"]["label_names"]
SECTIONS = (
    report.headline,
    report.hardest,
    report.per_class,
    doubts.reliability,
    report.learning_curves,
    doubts.out_of_scope,
    doubts.verdicts,
    doubts.explanations,
    doubts.small_objects,
    matrix.matrix,
)
CALIBRATION = {
    "temperature": 0.5,
    "images": 5000,
    "validation": {"ece": 0.004, "nll": 0.2},
    "test": {
        "accuracy": 0.95,
        "ece": 0.0061,
        "nll": 0.21,
        "reliability": [
            {"low": 0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1, "count": 10, "confidence": 0.9, "accuracy": 0.9},
        ],
    },
    "confident": {"threshold": 0.9, "share": 0.875, "accuracy": 0.9876},
}
SCOPE = {
    "method": "energy",
    "threshold": 3.0,
    "kept": {"validation": 0.95, "test": 0.96},
    "kinds": {
        "noise": {"auroc": 0.99, "accepted": 0.01},
        "drawings": {"auroc": 0.95, "accepted": 0.20},
    },
    "mean_auroc": 0.97,
    "as_sent": {
        "kinds": {
            "noise": {"accepted": 0.01, "confident": 0.0},
            "drawings": {"accepted": 0.29, "confident": 0.1},
        },
        "mean": {"accepted": 0.15, "confident": 0.05},
    },
    "methods": {},
}


def words(html: str) -> str:
    """What a person reads: no tags, plain spaces."""
    text = unescape(re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", text)


def with_(**parts: Any) -> dict[str, Any]:
    return {**RESULTS, **parts}


def small(counts: list[list[int]], names: list[str]) -> dict[str, Any]:
    """Results of a made-up model with the given confusion matrix."""
    m = np.array(counts)
    hit = m.diagonal()
    classes = {
        name: {
            "recall": float(hit[i] / m[i].sum()),
            "precision": float(hit[i] / max(m[:, i].sum(), 1)),
            "f1": float(2 * hit[i] / (m[i].sum() + m[:, i].sum())),
            "support": int(m[i].sum()),
        }
        for i, name in enumerate(names)
    }
    plain = {"count": int(m.sum()), "per_class": classes, "confusion_matrix": counts}
    return {"dataset": {"label_names": names}, "test": {"plain": plain}}


def test_headline_numbers_are_those_of_results() -> None:
    before = words(report.headline({k: v for k, v in RESULTS.items() if k != "calibration"}))
    assert f"{PLAIN['accuracy'] * 100:.2f} %" in before
    assert f"of {PLAIN['count']:,} test images" in before
    assert f"{RESULTS['model']['parameters'] / 1e6:.2f} M" in before
    assert f"{PLAIN['ece'] * 100:.2f} %" in before
    after = words(report.headline(with_(calibration=CALIBRATION)))
    assert "after calibration 0.61 %" in after
    assert "on 87.5 % of the images 98.76 %" in after


def test_the_hardest_class_is_found_from_the_numbers() -> None:
    # Fox: 6 of 10 found. 3 + 1 missed, 4 + 1 others called fox. 12 mistakes, 7 of them fox/owl.
    results = small([[8, 1, 1], [1, 6, 3], [2, 4, 14]], ["elk", "fox", "owl"])
    text = words(report.hardest(results))
    assert "The hardest class: fox" in text
    assert "Of 10 fox pictures 6 are named fox; 4 are not." in text
    assert "They are taken for owl (3), elk (1)." in text
    assert "5 pictures of other things are called fox" in text
    assert "fox and owl makes 7 of all 12 mistakes, 58 %" in text

    assert "hardest class: cat" in words(report.hardest(RESULTS))
    assert "No class" in words(report.hardest(small([[5, 0], [0, 5]], ["elk", "fox"])))


def test_bars_start_at_zero_and_show_the_share_that_is_missed() -> None:
    results = small([[9, 1], [4, 6]], ["elk", "fox"])
    html = report.per_class(results)
    assert re.findall(r'scope="row">(\w+)', html) == ["fox", "elk"]  # the worst on top
    assert re.findall(r"width: ([\d.]+)%", html) == ["100.0", "25.0"]
    assert "fox 40.0 % 85.7 %" in words(html)  # 6 of the 7 named fox are


def test_reliability_shows_before_and_after_calibration() -> None:
    one = doubts.reliability({k: v for k, v in RESULTS.items() if k != "calibration"})
    two = doubts.reliability(with_(calibration=CALIBRATION))
    filled = sum(row["count"] > 0 for row in PLAIN["reliability"])
    assert one.count("<circle") == filled
    assert two.count("<circle") == filled + 1
    assert "points too modest" in words(one)
    for said in ("at their word", "by 0.61 % calibrated", "temperature of 0.50", "5,000 images"):
        assert said in words(two)
    assert "temperature" not in words(one)


def looked(right: float, wrong: float) -> dict[str, float]:
    return {"right": right, "named and wrong": wrong}


CASES = {
    "96 px on plain": {"whole": looked(0.3, 0.1), "closer": looked(0.7, 0.2)},
    "256 px on plain": {"whole": looked(0.9, 0.06), "closer": looked(0.9, 0.1)},
    "nothing but ground": {"whole": looked(0.0, 0.1), "closer": looked(0.0, 0.2)},
}
METHODS = {
    "random": {"deletion": 0.5, "insertion": 0.4},
    "occlusion": {"deletion": 0.25, "insertion": 0.75},
}


@pytest.mark.parametrize(
    ("write", "key", "found", "told"),
    [
        (
            doubts.verdicts,
            "calibration",
            CALIBRATION,  # of the rest 0.687 are right: 0.875 * 0.9876 + 0.125 * 0.687 = 0.95
            ["right 98.8 %", "of 90 % on", "confident 87.5 % 98.8 %", "rest 12.5 % 68.7 %"],
        ),
        (
            doubts.small_objects,
            "small_objects",
            {"images": 200, "canvas": 320, "cases": CASES},
            ["96 px on plain 30.0 % 70.0 %", "80 % instead of 60 %", "15 % instead of 8 %"],
        ),
        (
            doubts.explanations,
            "explanations",
            {"method": "occlusion", "images": 500, "methods": METHODS},
            ["occlusion 0.250 0.750 random 0.500 0.400", "on 500 test images"],  # the best on top
        ),
        (
            doubts.out_of_scope,
            "scope",
            SCOPE,  # the worst on top
            ["drawings 29.0 % 0.950 noise 1.0 % 0.990", "0.970 on average, by energy", "85 % of"],
        ),
    ],
)
def test_a_part_shows_where_it_was_measured(
    write: Callable[[Any], str], key: str, found: dict[str, Any], told: list[str]
) -> None:
    assert write({k: v for k, v in RESULTS.items() if k != key}) == ""
    text = words(write(with_(**{key: found})))
    for said in told:
        assert said in text
    assert "nothing but" not in text


@pytest.mark.parametrize("key", [*RESULTS, *(f"test.plain.{key}" for key in PLAIN)])
def test_a_missing_part_is_a_sentence(key: str) -> None:
    *path, last = key.split(".")
    for damaged in ("?", None, ...):
        results = copy.deepcopy(RESULTS)
        part = results
        for name in path:
            part = part[name]
        part[last] = damaged
        if damaged is ...:
            del part[last]
        for write in SECTIONS:
            assert "Traceback" not in report.section(write, results)


def test_class_names_cannot_bring_markup() -> None:
    results = small([[9, 1], [4, 6]], ["<img src=x>", 'a"b'])
    for write in (report.hardest, report.per_class, matrix.matrix):
        html = report.section(write, results)
        assert "<img src=x>" not in html
        assert 'a"b' not in html


def test_the_matrix_has_a_labelled_button_for_every_cell() -> None:
    html = matrix.matrix(small([[8, 1, 1], [1, 6, 3], [2, 4, 14]], ["elk", "fox", "owl"]))
    assert html.count("<button") == 9
    assert 'aria-label="owl taken for fox: 4"' in html
    assert 'aria-label="fox recognised: 6"' in html
    assert html.count('tabindex="0"') == 1  # one stop for the Tab key


def test_many_classes_become_a_list_of_the_worst_pairs() -> None:
    names = [f"c{i}" for i in range(30)]
    results = small((np.eye(30, dtype=int) * 5).tolist(), names)
    results["test"]["plain"]["most_confused"] = [{"true": "c7", "predicted": "c2", "count": 3}]
    html = matrix.matrix(results)
    assert html.count("<button") == 1
    assert 'data-true="7"' in html
    assert "c7 taken for c2: 3" in html


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 26, True, [0, 5, 10, 15, 20, 25, 30]),
        (0.7, 2.1, False, [0.5, 1.0, 1.5, 2.0, 2.5]),
        (3, 3, True, [3, 4]),
    ],
)
def test_ticks_are_round_and_enclose(
    low: float, high: float, whole: bool, expected: list[float]
) -> None:
    assert charts.ticks(low, high, whole=whole) == expected


def test_a_curve_lies_where_its_values_say() -> None:
    one = charts.Series("loss", "bad", [(0, 0), (1, 1)])
    drawn = charts.curves([one], label="Loss", x="epoch")
    assert f'points="{charts.LEFT},{charts.BOTTOM} {charts.RIGHT},{charts.TOP}"' in drawn.replace(
        ".0", ""
    )
    assert 'aria-label="Loss"' in drawn


def test_an_empty_chart_keeps_its_place() -> None:
    empty = charts.curves([charts.Series("loss", "bad", [])], label="Loss", x="epoch")
    assert "<svg" in empty
    assert "<circle" not in empty
