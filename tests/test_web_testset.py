"""Behind every cell of the page's matrix are the pictures that it counts, or a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NAMES, ROOT
from PIL import Image
from test_web_quality import words
from tiny_model import NAMES as FIVE
from tiny_model import make_network

from model.inference.classifier import Classifier
from model.utils.errors import DataError
from web import quality
from web.quality import TestSet

RESULTS = json.loads((ROOT / "results.json").read_text())


@pytest.fixture(scope="module")
def results(trained: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((trained / "results.json").read_text())
    return content


@pytest.fixture(scope="module")
def tests(trained: Path, shapes: Path, results: dict[str, Any]) -> TestSet:
    return TestSet(str(shapes), results, Classifier.from_pretrained(trained))


def _numbers() -> TestSet:
    """Numbers without pictures."""
    return TestSet(None, RESULTS, Classifier(make_network(), FIVE))


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
    assert quality.HINT in quality.cell(_numbers(), *place)
