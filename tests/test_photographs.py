"""Photographs of the classes and of strangers: the numbers by hand, and the program on a few."""

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from conftest import NAMES, Program, picture
from hub_layout import encoded
from PIL import Image

from benchmarks.photographs import ask, ccr, draw, measure, read, share, summary, worst
from model import Classifier
from model.utils.errors import DataError

COLUMNS = ("truth", "label", "probability", "verdict", "scope")


def answers(*rows: tuple[Any, ...]) -> pd.DataFrame:
    table = pd.DataFrame([row if len(row) == 5 else (*row, 0.0) for row in rows], columns=COLUMNS)
    plain = {"plain_label": table.label, "plain_probability": table.probability}
    content = encoded(np.zeros((30, 40, 3), np.uint8))["bytes"]
    return table.assign(content=content, subject=table.truth, **plain)


ANSWERS = answers(
    ("dog", "dog", 0.9, "confident", 9),
    ("dog", "cat", 0.8, "confident", 7),
    ("dog", "dog", 0.4, "unsure", 5),
    ("bird", "bird", 0.6, "none", 1),
    ("ship", "ship", 0.7, "confident", 3),
    ("other", "frog", 0.95, "confident", 4),
    ("other", "ship", 0.85, "confident", 2),
    ("other", "dog", 0.5, "unsure", 0),
    ("other", "cat", 0.3, "none", -1),
)


def test_a_share_of_nothing_is_none() -> None:
    assert [*share(np.array([], bool)).values()] == [0, 0, None, None, None]
    assert share(np.array([True, False, True, True]))["share"] == 0.75


def test_ccr_by_hand() -> None:
    strangers = np.arange(20.0)  # 5 %: one may pass, 19; so 18 is the threshold
    known = np.array([18.0, 18.5, 30.0, 25.0, 5.0])
    right = np.array([True, True, True, False, True])
    assert ccr(known, right, strangers, 0.05) == 0.4  # 18.5 and 30; 18 does not exceed
    assert ccr(known, right, strangers, 0.10) == 0.6  # two may pass: above 17
    assert ccr(known, right, strangers, 0.0) == 0.2  # only 30 exceeds all
    assert ccr(known, right, strangers, 1.0) == 0.8  # all that are named right
    assert ccr(known, right, np.full(3, 40.0), 0.05) == 0.0
    assert ccr(known, right, np.full(20, 18.0), 0.05) == 0.4  # ties do not pass


def test_all_numbers_by_hand() -> None:
    found = measure(ANSWERS)
    assert found["images"] == {"of the classes": 5, "strangers": 4}
    named = {name: (one["right"], one["count"]) for name, one in found["named_right"].items()}
    assert named == {"all": (4, 5), "dogs": (2, 3), "birds": (1, 1), "the rest": (1, 1)}
    assert (found["confident"]["right"], found["confident"]["count"]) == (3, 5)
    sure = found["right_when_confident"]
    assert (sure["right"], sure["count"]) == (2, 3)
    assert found["strangers_confident"]["share"] == 0.5
    with_strangers = found["right_when_confident_strangers_included"]
    assert (with_strangers["right"], with_strangers["count"]) == (2, 5)
    assert found["verdicts"]["of the classes"] == {"confident": 3, "unsure": 1, "none": 1}
    assert found["verdicts"]["strangers"] == {"confident": 2, "unsure": 1, "none": 1}
    # No stranger may pass at these rates: scores above 4 are 9 and 5 (right) and 7 (wrong); no
    # confident answer is surer than the stranger's 0.95.
    score = found["ccr"]["the classifier's score"]
    assert score == {"at 5% FPR": 0.4, "at 10% FPR": 0.4}
    assert found["ccr"]["its verdict, then its probability"]["at 5% FPR"] == 0
    assert found["ccr"]["largest softmax, one view"]["at 5% FPR"] == 0
    errors = abs(0.9 - 1) + abs(0.8 - 0) + abs(0.4 - 1) + abs(0.6 - 1) + abs(0.7 - 1)
    assert found["ece"] == pytest.approx(errors / 5)  # each in a bin of its own
    assert [one["said"] for one in found["mistakes"]] == ["cat", "frog", "ship"]
    assert "(2 of 3; " in summary(found)
    assert len(draw(ANSWERS[:0], found).axes) == 6  # a sheet of no mistakes


def test_the_worst_come_first_and_strangers_have_half_of_the_places() -> None:
    many = [("dog", "cat", 0.5 + i / 100, "confident") for i in range(10)]
    others = [("other", "cat", 0.9 + i / 100, "confident") for i in range(5)]
    shown = worst(answers(*many, *others, ("dog", "cat", 1.0, "unsure")), 8)
    expected = [0.59, 0.58, 0.57, 0.56, 0.94, 0.93, 0.92, 0.91]
    assert shown.probability.tolist() == pytest.approx(expected)
    assert len(worst(answers(*many, *others), 100)) == 15
    few = worst(answers(*many, *others[:1]), 8)
    assert few.truth.tolist() == ["dog"] * 7 + ["other"]


@pytest.mark.parametrize("rows", [slice(5), slice(5, None)])
def test_both_sorts_are_needed(rows: slice) -> None:
    with pytest.raises(DataError, match="0 "):
        measure(ANSWERS[rows])


def photographs(folder: Path, truths: list[str], **columns: list[str]) -> Path:
    """A dataset in the hub's layout: enlarged pictures of the classes, and noise."""
    rng = np.random.default_rng(0)
    images = []
    for truth in truths:
        small = rng.integers(0, 256, (32, 32, 3), np.uint8)
        if truth in NAMES:
            small = picture(NAMES.index(truth), rng)
        images.append(Image.fromarray(small).resize((150, 120)))
    folder.mkdir()
    rows = {"image": images, "truth": truths, **columns}
    columns_ = datasets.Features(
        {name: datasets.Image() if name == "image" else datasets.Value("string") for name in rows}
    )
    made = datasets.Dataset.from_dict(rows, features=columns_)
    made.to_parquet(folder / "test-00000-of-00001.parquet")
    return folder


@pytest.fixture
def classifier(trained: Path) -> Classifier:
    return Classifier.from_pretrained(trained)


def test_photographs_are_read_as_they_are_stored(classifier: Classifier, tmp_path: Path) -> None:
    subjects = ["a wheel", "", "soup"]
    folder = photographs(tmp_path / "p", ["ring", "cross", "other"], subject=subjects)
    found = ask(classifier, read(str(folder)))
    assert found.truth.tolist() == ["ring", "cross", "other"]
    assert found.subject.tolist() == ["a wheel", "cross", "soup"]
    for content in found.content:
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (150, 120)


def test_what_is_wrong_with_a_dataset_is_named(classifier: Classifier, tmp_path: Path) -> None:
    folder = photographs(tmp_path / "unknown", ["ring", "wolf"])
    with pytest.raises(DataError, match="'wolf'"):
        ask(classifier, read(str(folder)))
    other = tmp_path / "labels"
    other.mkdir()
    datasets.Dataset.from_dict({"image": [1], "label": [2]}).to_parquet(other / "test.parquet")
    with pytest.raises(DataError, match="image, label"):
        read(str(other))
    with pytest.raises(DataError, match="--photos"):
        read(str(tmp_path / "nowhere"))


@pytest.mark.slow
def test_the_program_measures_a_run(trained: Path, program: Program, tmp_path: Path) -> None:
    truths = ["cross", "ring", "stripes"] * 12 + ["other"] * 9
    folder = photographs(tmp_path / "mine", truths)
    line = ["-m", "benchmarks.photographs", trained, "--photos", folder]
    done = program(*line, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "photographs.json").read_text())
    assert found["photographs"] == "mine"
    assert found["images"] == {"of the classes": 36, "strangers": 9}
    assert found["named_right"]["dogs"]["count"] == 0
    assert found["named_right"]["all"]["count"] == 36
    assert sum(found["verdicts"]["strangers"].values()) == 9
    assert str(tmp_path) not in (tmp_path / "out" / "photographs.json").read_text()
    assert (tmp_path / "out" / "photographs.png").stat().st_size > 1000
    assert "named right, all" in done.stdout
