"""What the page tells about quality is what results.json holds, with the pictures behind it."""

import copy
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NAMES, ROOT
from PIL import Image
from tiny_model import NAMES as FIVE
from tiny_model import make_network

from model.inference.classifier import Classifier
from model.utils.errors import DataError
from web import charts, matrix, quality, report
from web.quality import TestSet

RESULTS = json.loads((ROOT / "results.json").read_text())
PLAIN = RESULTS["test"]["plain"]
BARE = {name: RESULTS[name] for name in ("test", "model", "dataset")}
SECTIONS = (
    report.headline,
    report.per_class,
    report.reliability,
    report.learning_curves,
    matrix.matrix,
)


def words(html: str) -> str:
    """What a person reads: no tags, plain spaces."""
    text = unescape(re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", text)


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
    plain["most_confused"] = []
    return {"dataset": {"label_names": names}, "test": {"plain": plain}}


def test_headline_numbers_are_those_of_results() -> None:
    told, bare = (words(report.headline(results)) for results in (RESULTS, BARE))
    after, sure = (RESULTS["calibration"][name] for name in ("test", "confident"))
    for share in (PLAIN["accuracy"], after["ece"], sure["accuracy"]):
        assert f" {share * 100:.2f} % " in told
    right, strangers = (
        RESULTS["photographs"][name] for name in ("right_when_confident", "strangers_confident")
    )
    noticed = 1 - RESULTS["scope"]["as_sent"]["mean"]["accepted"]
    for share in (sure["share"], right["share"], strangers["share"], noticed):
        assert f" {share * 100:.1f} % " in told
    assert f"{RESULTS['model']['parameters'] / 1e6:.2f} M" in told
    assert f"{PLAIN['ece'] * 100:.2f} %" in bare
    nobody = {"confident": {"threshold": 1.0, "share": 0.0, "accuracy": None}}
    assert "where it is confident: on" in told
    assert "where it is confident: on" not in words(report.headline(BARE | {"calibration": nobody}))


def test_reliability_shows_before_and_after_calibration() -> None:
    one, two = report.reliability(BARE), report.reliability(RESULTS)
    after = RESULTS["calibration"]["test"]
    before, calibrated = (
        sum(row["count"] > 0 for row in rows["reliability"]) for rows in (PLAIN, after)
    )
    assert one.count("<circle") == before
    assert two.count("<circle") == before + calibrated
    assert "points too modest" in words(one)
    by = RESULTS["calibration"]
    told = ("at their word", f"by {after['ece'] * 100:.2f} % calibrated")
    for said in (*told, f"of {by['temperature']:.2f}", f"{by['images']:,}"):
        assert said in words(two)
    assert "temperature" not in words(one)


def test_an_accuracy_on_few_images_stands_beside_its_interval() -> None:
    results = copy.deepcopy(RESULTS)
    assert "possible" not in words(report.headline(results))
    results["test"]["plain"] |= {"accuracy": 0.75, "count": 20}
    assert "so few that 53 % to 89 % are possible" in words(report.headline(results))


def test_bars_start_at_zero_and_show_the_share_that_is_missed() -> None:
    results = small([[9, 1], [4, 6]], ["elk", "fox"])
    results["test"]["plain"]["most_confused"] = [dict(true="fox", predicted="elk", count=4)]
    html = report.per_class(results)
    assert "A missed fox is mostly taken for elk (4)." in words(html)
    assert "No class is missed much more often" in words(html)  # ten pictures each do not tell
    assert re.findall(r'scope="row">(\w+)', html) == ["fox", "elk"]  # the worst on top
    assert re.findall(r"width: ([\d.]+)%", html) == ["100.0", "25.0"]
    assert "fox 40.0 % 85.7 %" in words(html)  # 6 of the 7 named fox are


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
    for write in (report.per_class, matrix.matrix):
        html = report.section(write, results)
        assert "<img src=x>" not in html
        assert 'a"b' not in html


def test_the_matrix_has_a_labelled_button_for_every_cell() -> None:
    html = matrix.matrix(small([[8, 1, 1], [1, 6, 3], [2, 4, 14]], ["elk", "fox", "owl"]))
    assert html.count("<button") == 9
    assert 'aria-label="owl taken for fox: 4"' in html
    assert 'aria-label="fox recognised: 6"' in html
    assert html.count('tabindex="0"') == 1  # one stop for the Tab key


@pytest.mark.parametrize("classes", [100, 1000])
def test_of_many_classes_the_worst_are_shown(classes: int) -> None:
    names = [f"c{i}" for i in range(classes)]
    counts = np.eye(classes, dtype=int) * 5
    counts[7, 2] = 3  # 3 of 8 pictures of c7 get another name
    results = small(counts.tolist(), names)
    results["test"]["plain"]["most_confused"] = [{"true": "c7", "predicted": "c2", "count": 3}]
    html = matrix.matrix(results)
    assert html.count("<button") == 1
    assert 'data-true="7"' in html
    assert "c7 taken for c2: 3" in html
    assert matrix.counted(7, 2, results)[0] == 3
    bars = report.per_class(results)
    assert re.findall(r'scope="row">(\w+)', bars)[0] == "c7"
    assert bars.count("<tr>") == 1 + report.MOST_BARS
    assert f"The worst 20 of {classes:,}" in words(bars)


def test_a_curve_lies_where_its_values_say() -> None:
    one = charts.Series("loss", "bad", [(0, 0), (1, 1)])
    drawn = charts.by_epoch(one)
    assert f'points="{charts.LEFT},{charts.BOTTOM} {charts.RIGHT},{charts.TOP}"' in drawn.replace(
        ".0", ""
    )
    assert 'aria-label="loss by epoch, at last 1.00"' in drawn


@pytest.fixture(scope="module")
def results(trained: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((trained / "results.json").read_text())
    return content


@pytest.fixture(scope="module")
def tests(trained: Path, shapes: Path, results: dict[str, Any]) -> TestSet:
    return TestSet(str(shapes), results, Classifier.from_pretrained(trained))


def test_cells_hold_the_very_pictures_that_they_count(
    tests: TestSet, results: dict[str, Any], shapes: Path
) -> None:
    counts = results["test"]["plain"]["confusion_matrix"]
    for true, name in enumerate(NAMES):
        files = [np.asarray(Image.open(f)) for f in sorted((shapes / "test" / name).iterdir())]
        for predicted in range(len(NAMES)):
            found = tests.cell(true, predicted)
            assert len(found) == counts[true][predicted]
            assert [one.probability for one in found] == sorted(
                (one.probability for one in found), reverse=True
            )
            for one in found:
                assert any(np.array_equal(one.pixels, file) for file in files)


def test_the_most_confident_mistakes_are_their_pictures(
    tests: TestSet, results: dict[str, Any]
) -> None:
    for row in results["test"]["plain"]["confident_mistakes"]:
        cell = tests.cell(NAMES.index(row["true"]), NAMES.index(row["predicted"]))
        same = next(one for one in cell if one.index == row["index"])
        assert np.array_equal(tests.pictures([row["index"]])[0], same.pixels)


def test_other_data_is_refused_with_a_sentence(trained: Path, shapes: Path) -> None:
    other = json.loads((trained / "results.json").read_text())
    other["dataset"]["fingerprint"]["test"] = "0" * 64
    tests = TestSet(str(shapes), other, Classifier.from_pretrained(trained))
    with pytest.raises(DataError, match="not those that the numbers come from"):
        tests.cell(0, 0)
    counts = np.array(other["test"]["plain"]["confusion_matrix"])
    true, predicted = np.unravel_index(counts.argmax(), counts.shape)
    text = words(quality.cell(tests, int(true), int(predicted)))
    assert f"{NAMES[true]} pictures were" in text  # the numbers stay
    assert "not those that the numbers come from" in text


@pytest.mark.parametrize("place", [(-1, 0), (0, 10), ("0", 0), (None, None), (0.5, 1), ([], {})])
def test_a_strange_place_is_ignored(place: tuple[Any, Any]) -> None:
    numbers_alone = TestSet(None, RESULTS, Classifier(make_network(), FIVE))
    assert quality.HINT in quality.cell(numbers_alone, *place)
