"""What visitors teach: bounded, apart from one another, and gone when it should be."""

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.data import open_dataset
from model.utils.errors import ImageError
from model.utils.pixels import png
from model.utils.synthetic import picture
from web import lessons as module
from web.lessons import FEWEST, MOST_CLASSES, OWN, SIDE, Lesson, LessonError, Lessons, shrunk
from web.takeaway import zipped
from web.trainings import Training, Trainings

ALICE, BOB = "a" * 32, "b" * 32


class Asked(Trainings):
    """Takes trainings and runs none."""

    def __init__(self) -> None:
        self.all: list[Training] = []

    def add(self, training: Training) -> None:
        self.all.append(training)

    def close(self) -> None:
        pass


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def every(asked: Asked, tmp_path: Path) -> Iterator[Lessons]:
    (tmp_path / "photos").mkdir()
    every = Lessons(str(tmp_path / "photos"), tmp_path, asked)
    yield every
    every.close()


def drawn(label: int = 0, seed: int = 0) -> bytes:
    return png(picture(label, np.random.default_rng(seed)))


def photo(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return png(pixels)


def filled(every: Lessons, key: str = ALICE, count: int = FEWEST) -> Lesson:
    lesson = every.open(key)
    for label, number in enumerate(lesson.subjects):
        for i in range(count):
            every.add(lesson, number, drawn(label, i))
    return lesson


def test_pictures_are_kept_small(every: Lessons) -> None:
    for size, kept in (((32, 32), "PNG"), ((64, 40), "PNG"), ((96, 96), "JPEG")):
        with Image.open(io.BytesIO(shrunk(photo(*size))[1])) as image:
            assert (image.size, image.format) == (size, kept)
    with Image.open(io.BytesIO(shrunk(photo(1200, 600))[1])) as image:
        assert image.size == (SIDE, SIDE // 2)
    with pytest.raises(ImageError):
        shrunk(b"no picture")


def test_a_visitor_has_limits(every: Lessons, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = every.open(ALICE)
    first, second = lesson.subjects
    for _ in range(MOST_CLASSES - 2):
        lesson.add_class()
    with pytest.raises(LessonError, match=str(MOST_CLASSES)):
        lesson.add_class()
    monkeypatch.setattr(module, "MOST_PICTURES", 2)
    every.add(lesson, first, drawn())
    every.add(lesson, second, drawn())
    with pytest.raises(LessonError, match="at most 2 pictures"):
        every.add(lesson, first, drawn())
    monkeypatch.setattr(module, "MOST_PICTURES", 100)
    monkeypatch.setattr(module, "MOST_BYTES", lesson.bytes + 10)
    with pytest.raises(LessonError, match="no more room"):
        every.add(lesson, first, drawn())


def test_all_visitors_together_have_limits(every: Lessons, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = filled(every, ALICE, 1), every.open(BOB)
    monkeypatch.setattr(module, "MOST_TOGETHER", alice.bytes + 10)
    with pytest.raises(LessonError, match="all visitors"):
        every.add(bob, next(iter(bob.subjects)), drawn())
    every.forget(ALICE)
    every.add(bob, next(iter(bob.subjects)), drawn())


def test_a_crowd_that_gives_nothing_pushes_nobody_out(
    every: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LESSONS", 3)
    alice = filled(every)
    for i in range(50):
        every.open(f"{i:032x}")
    assert every.find(ALICE) is alice
    assert len(every._lessons) == 3
    for key in [key for key in every._lessons if key != ALICE]:
        filled(every, key)
    with pytest.raises(LessonError, match="Too many"):
        every.open(BOB)


@pytest.mark.parametrize("key", [None, "", 5, "x" * 32, "../" + "a" * 29, ["a" * 32], "a" * 33])
def test_no_lesson_without_a_key(every: Lessons, key: object) -> None:
    assert every.find(key) is None
    with pytest.raises(LessonError):
        every.open(key)
    every.forget(key)


def test_numbers_of_others_mean_nothing(every: Lessons) -> None:
    alice, bob = filled(every, ALICE, 1), every.open(BOB)
    number, subject = next(iter(alice.subjects.items()))
    (picture,) = subject.pictures
    wrong: Any
    for wrong in (None, "1", [number], {}, 10**9, -1):
        for act in (bob.remove_class, lambda n: bob.remove(n, picture), bob.subject):
            with pytest.raises(LessonError):
                act(wrong)
    for wrong in (None, "1", [picture], 10**9):
        alice.remove(number, wrong)
    assert alice.count == 2


def test_pictures_and_classes_are_removed_from_the_disk(every: Lessons) -> None:
    lesson = filled(every, count=2)
    number, subject = next(iter(lesson.subjects.items()))
    picture, path = next(iter(subject.pictures.items()))
    before = lesson.bytes
    lesson.remove(number, picture)
    assert not path.exists()
    assert lesson.bytes < before
    lesson.remove_class(number)
    assert lesson.count == 2
    assert len(list(lesson.folder.iterdir())) == 2
    assert lesson.bytes == sum(path.stat().st_size for path in lesson.folder.iterdir())
    every.forget(ALICE)
    assert not lesson.folder.exists()
    with pytest.raises(LessonError):
        lesson.add(number, drawn())  # by a request that was on its way


def test_nobody_who_is_gone_is_kept(every: Lessons) -> None:
    alice, bob = filled(every), filled(every, BOB)
    every.sweep()
    assert alice.folder.exists()
    alice.heard = time.monotonic() - module.KEPT - 1
    every.sweep()
    assert not alice.folder.exists()
    assert every.find(ALICE) is None
    assert every.find(BOB) is bob
    every.close()
    assert not bob.folder.exists()


NAMES = ["", " ", ".", "..", "../x", "a/b", "a\\b", "a:b", "a\0b", "x" * 61, ".hidden", "end."]


@pytest.mark.parametrize("name", [*NAMES, "__MACOSX", "line\nbreak\x07", None])
def test_names_that_are_no_folders_or_labels_are_refused(every: Lessons, name: object) -> None:
    lesson = every.open(ALICE)
    with pytest.raises(LessonError):
        lesson.rename(next(iter(lesson.subjects)), name)


def test_names_are_tidied_and_differ(every: Lessons) -> None:
    lesson = every.open(ALICE)
    first, second = lesson.subjects
    lesson.rename(first, "  Café \n cats ")
    assert lesson.subjects[first].name == "Café cats"
    with pytest.raises(LessonError, match="CAFÉ CATS"):
        lesson.rename(second, "CAFÉ CATS")
    assert lesson.class_named("café cats") == first
    assert lesson.class_named("dogs") == second  # nobody had named or filled it
    assert lesson.class_named("birds") not in (first, second)


def test_too_little_is_said_before_training(every: Lessons, asked: Asked) -> None:
    lesson = every.open(ALICE)
    first, second = lesson.subjects
    with pytest.raises(LessonError, match="two classes"):
        every.train(lesson, OWN)
    filled(every, count=FEWEST)
    lesson.rename(first, "train")
    lesson.rename(second, "Test")
    with pytest.raises(LessonError, match="otherwise"):
        every.train(lesson, OWN)
    lesson.rename(first, "bus")
    lesson.remove(second, next(iter(lesson.subjects[second].pictures)))
    with pytest.raises(LessonError, match=f"{FEWEST - 1} of at least {FEWEST}"):
        every.train(lesson, OWN)
    for source in ("/etc", "photos/../..", None, ["synthetic"], "uoft-cs/cifar10"):
        with pytest.raises(LessonError):
            every.train(lesson, source)
    assert asked.all == []


def test_a_training_reads_the_pictures_of_its_moment(
    every: Lessons, asked: Asked, tmp_path: Path
) -> None:
    lesson = filled(every)
    first, second = lesson.subjects
    lesson.rename(first, "train")  # a word that datasets use for something else
    every.train(lesson, OWN)
    (training,) = asked.all
    assert training.options["init-from"] == str(tmp_path)
    with pytest.raises(LessonError, match="on its way"):
        every.train(lesson, OWN)
    lesson.remove_class(second)
    dataset = open_dataset(training.options["dataset"])
    assert dataset.label_names == ("Class 2", "train")
    labels = dataset.splits["train"].labels, dataset.splits["test"].labels
    assert sum(map(len, labels)) == 2 * FEWEST
    every.forget(ALICE)
    assert not training.state.running
    assert not Path(training.options["dataset"]).exists()


def test_a_visitor_keeps_one_model_the_latest(every: Lessons, asked: Asked) -> None:
    lesson = filled(every)
    for expected in (1, 1):
        every.train(lesson, OWN)
        training = asked.all[-1]
        training.output.mkdir()
        training._ended(True)
        training.stop()
        assert lesson.model == training.output
        assert len(list(lesson.folder.glob("training-*"))) == expected
    every.train(lesson, "photos")
    assert "init-from" not in asked.all[-1].options  # ready examples train from nothing
    asked.all[-1]._ended(False)
    assert lesson.model == training.output
    assert training.output.is_dir()


def test_what_is_gone_is_left_out_of_a_zip(every: Lessons, tmp_path: Path) -> None:
    lesson = filled(every, count=2)
    files = [("gone", tmp_path / "gone"), *lesson.files()]
    with zipped(files) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"Class {c}/000{i}.png" for c in (1, 2) for i in (1, 2)]
        archive.extractall(tmp_path / "again")
    assert open_dataset(str(tmp_path / "again")).label_names == ("Class 1", "Class 2")
