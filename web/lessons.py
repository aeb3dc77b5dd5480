"""What visitors teach: classes, pictures and a model, each visitor's apart, within bounds.

A visitor is known by a key that the browser draws and keeps for as long as its tab is open. Nobody
else knows it, and nothing of a lesson can be reached without it. Classes and pictures have numbers
here: no name that a visitor chooses is ever part of a path, but for the copy that a training reads.
"""

import io
import itertools
import os
import re
import shutil
import tempfile
import threading
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from model.hub.config import check_label_names
from model.recipe import SYNTHETIC
from model.utils.errors import CifarnetError, ConfigError
from model.utils.files import public_name
from model.utils.images import read_image
from model.utils.listing import LITTER, SPLIT_OF
from web.models import MAX_PIXELS
from web.trainings import Training, Trainings
from web.uploads import KEPT

KEY = re.compile("[0-9a-f]{32}")
MOST_CLASSES = 20
MOST_PICTURES = 2_000  # of a visitor
MOST_BYTES = 20 * 2**20  # of a visitor's pictures
MOST_TOGETHER = 2**30  # bytes of all visitors' pictures
MOST_LESSONS = 200
FEWEST, ENOUGH = 6, 20  # pictures of a class that it can be taught by at all, and well
SIDE = 256  # pixels of the longer side that are kept
LOSSLESS = 64  # pixels up to which a picture is kept as it is: the networks see so many at most
LONGEST_NAME = 60  # letters, at most four bytes each: file systems allow 255
FORBIDDEN = set('\\/:*?"<>|')  # in names of folders, by one system or another

OWN = "own"  # pictures that the visitor has given


class LessonError(CifarnetError):
    """Something does not fit into a lesson."""


@dataclass
class Subject:
    """A class: its name and its pictures, by their numbers."""

    name: str
    pictures: dict[int, Path] = field(default_factory=dict)


class Lesson:
    """One visitor's classes, pictures, training and model.

    Args:
        key: Of the visitor.
        folder: For nothing else.
    """

    def __init__(self, key: str, folder: Path) -> None:
        self.key, self.folder = key, folder
        self.subjects: dict[int, Subject] = {}
        self.bytes = 0
        self.heard = time.monotonic()
        self.training: Training | None = None
        self.model: Path | None = None
        """Folder of the latest model."""
        self.said = ""
        """What the visitor was told last."""
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        folder.mkdir()
        self.add_class()
        self.add_class()

    @property
    def count(self) -> int:
        """Pictures of all classes."""
        with self.lock:
            return sum(len(one.pictures) for one in self.subjects.values())

    def subject(self, number: object) -> Subject:
        """A class by its number, which comes from a browser.

        Raises:
            LessonError: If there is none.
        """
        with self.lock:
            if not isinstance(number, int) or number not in self.subjects:
                raise LessonError("That class is no longer there.")
            return self.subjects[number]

    def add_class(self) -> int:
        """Adds a class with a name of its own; returns its number.

        Raises:
            LessonError: If there are too many.
        """
        with self.lock:
            if len(self.subjects) >= MOST_CLASSES:
                raise LessonError(f"There can be at most {MOST_CLASSES} classes.")
            names = (f"Class {i}" for i in itertools.count(1))
            free = (name for name in names if self._number_of(name) is None)
            number = next(self._numbers)
            self.subjects[number] = Subject(next(free))
            return number

    def class_named(self, name: str) -> int:
        """The number of the class of a name, which is added if need be.

        Raises:
            LessonError: If it cannot be a name, or there are too many classes.
        """
        name = checked(name)
        with self.lock:
            number = self._number_of(name)
            if number is None:
                unused = (  # which nobody has named or given a picture
                    k
                    for k, v in self.subjects.items()
                    if not v.pictures and re.fullmatch(r"Class \d+", v.name)
                )
                number = next(unused, None) or self.add_class()
                self.subjects[number].name = name
            return number

    def rename(self, number: object, name: object) -> None:
        """Gives a class another name.

        Raises:
            LessonError: If it cannot be a name, or another class has it.
        """
        with self.lock:
            subject, text = self.subject(number), checked(name)
            if self._number_of(text) not in (None, number):
                raise LessonError(f"Two classes cannot both be called {text}.")
            subject.name = text

    def _number_of(self, name: str) -> int | None:
        """Of a class, whatever the case: some systems would unpack both into one folder."""
        same = (k for k, v in self.subjects.items() if v.name.casefold() == name.casefold())
        return next(same, None)

    def remove_class(self, number: object) -> None:
        """Removes a class with its pictures."""
        with self.lock:
            for picture in list(self.subject(number).pictures):
                self.remove(number, picture)
            self.subjects = {k: v for k, v in self.subjects.items() if k != number}

    def add(self, number: object, content: bytes, most_bytes: int = MOST_BYTES) -> None:
        """Keeps a picture, made smaller.

        Args:
            number: Of its class.
            content: A file.
            most_bytes: That the visitor's pictures may take with it.

        Raises:
            ImageError: If it cannot be read.
            LessonError: If there is no room for it.
        """
        self.subject(number)
        suffix, small = shrunk(content)
        with self.lock:
            subject = self.subject(number)  # which may have gone meanwhile
            if self.count >= MOST_PICTURES:
                raise LessonError(f"There can be at most {MOST_PICTURES:,} pictures.")
            if self.bytes + len(small) > most_bytes:
                full = "yours take" if most_bytes == MOST_BYTES else "those of all visitors take"
                raise LessonError(f"There is no more room: {full} as much as they may.")
            picture = next(self._numbers)
            path = self.folder / f"{picture}{suffix}"
            try:
                path.write_bytes(small)
            except FileNotFoundError:
                raise LessonError("All of it was deleted meanwhile.") from None
            subject.pictures[picture] = path
            self.bytes += len(small)

    def remove(self, number: object, picture: object) -> None:
        """Removes a picture of a class."""
        with self.lock:
            pictures = self.subject(number).pictures
            if isinstance(picture, int) and (path := pictures.pop(picture, None)):
                self.bytes -= path.stat().st_size
                path.unlink()

    def files(self) -> list[tuple[str, Path]]:
        """All pictures as a dataset: `CLASS/0001.png`, and where each lies."""
        with self.lock:
            return [
                (f"{one.name}/{i:04}{path.suffix}", path)
                for one in self.subjects.values()
                for i, path in enumerate(one.pictures.values(), 1)
            ]

    def check(self) -> None:
        """Looks whether there is enough to learn from.

        Raises:
            LessonError: That says what is missing.
        """
        taught = [one for one in self.subjects.values() if one.pictures]
        if len(taught) < 2:
            raise LessonError(f"Give at least two classes {FEWEST} pictures each, first.")
        for one in taught:
            if (count := len(one.pictures)) < FEWEST:
                raise LessonError(f"{one.name} has {count} of at least {FEWEST} pictures.")
        if all(one.name.casefold() in SPLIT_OF for one in taught):  # which would be no classes
            raise LessonError("Folders of these names are parts of a dataset: call one otherwise.")


class Lessons:
    """All visitors' lessons, and the queue of their trainings.

    Args:
        dataset: As given on the command line; a ready example beside the generated pictures.
        init_from: Folder of the model that lessons go on from.
        trainings: The queue.
    """

    def __init__(self, dataset: str | None, init_from: Path, trainings: Trainings) -> None:
        self.ready = {"ten drawn shapes": SYNTHETIC}
        """Ready examples in words, and the datasets that they are."""
        if dataset and dataset != SYNTHETIC:
            self.ready[public_name(dataset)] = dataset
        self.trainings, self._init_from = trainings, str(init_from)
        self._lessons: dict[str, Lesson] = {}
        self._lock, self._numbers = threading.Lock(), itertools.count(1)
        self._top = tempfile.TemporaryDirectory(prefix="cifarnet-lessons-")

    def find(self, key: object) -> Lesson | None:
        """A visitor's lesson, if there is one."""
        with self._lock:
            lesson = self._lessons.get(key) if isinstance(key, str) else None
        if lesson:
            lesson.heard = time.monotonic()
        return lesson

    def open(self, key: object) -> Lesson:
        """A visitor's lesson, which begins now if need be.

        Raises:
            LessonError: If that is no key, or too many teach at the moment.
        """
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise LessonError("This page has lost its place; load it again.")
        if lesson := self.find(key):
            return lesson
        with self._lock:
            if len(self._lessons) >= MOST_LESSONS:
                # Whoever has given nothing yet loses nothing: names are given quickly again.
                idle = min(self._lessons.values(), key=lambda one: (one.count > 0, one.heard))
                if idle.count or idle.training:
                    raise LessonError("Too many visitors teach at the moment; come back later.")
                self._drop(idle.key)
            folder = Path(self._top.name, str(next(self._numbers)))
            return self._lessons.setdefault(key, Lesson(key, folder))

    def add(self, lesson: Lesson, number: object, content: bytes) -> None:
        """Keeps a picture of a lesson, see `Lesson.add`."""
        with self._lock:
            others = sum(one.bytes for one in self._lessons.values()) - lesson.bytes
        lesson.add(number, content, min(MOST_BYTES, MOST_TOGETHER - others))

    def train(self, lesson: Lesson, source: object) -> None:
        """Has a lesson trained when its turn comes.

        Args:
            lesson: Whose model it will be.
            source: `OWN`, or one of `ready`.

        Raises:
            LessonError: If one is on its way already, or there is too little to learn from.
        """
        with lesson.lock:
            if lesson.training and lesson.training.state.running:
                raise LessonError("Your training is on its way already. Stop it first.")
            folder = lesson.folder / f"training-{next(self._numbers)}"
            if source == OWN:
                lesson.check()
                for name, path in lesson.files():
                    # As it is now: the visitor may go on to add and remove.
                    copy = folder / "pictures" / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, copy)
                title = "your pictures"
                options = {"dataset": str(folder / "pictures"), "init-from": self._init_from}
            elif isinstance(source, str) and source in self.ready:
                title, dataset = source, self.ready[source]
                recipe = "tiny" if dataset == SYNTHETIC else "flash"
                options = {"dataset": dataset, "recipe": recipe}
            else:
                raise LessonError("Choose pictures from the list.")
            output = folder / "model"

            def ended(saved: bool) -> None:
                shutil.rmtree(folder / "pictures", ignore_errors=True)
                useless: Path | None = folder
                if saved:  # a visitor has one model, the latest
                    useless, lesson.model = lesson.model and lesson.model.parent, output
                if useless:
                    shutil.rmtree(useless, ignore_errors=True)

            lesson.training = Training(title, output, options, ended)
            self.trainings.add(lesson.training)

    def forget(self, key: object) -> None:
        """Deletes all that there is of a visitor, at once."""
        with self._lock:
            if isinstance(key, str) and key in self._lessons:
                self._drop(key)

    def sweep(self) -> None:
        """Deletes what there is of visitors who have not been heard of for a while."""
        before = time.monotonic() - KEPT
        with self._lock:
            for key in [key for key, one in self._lessons.items() if one.heard < before]:
                self._drop(key)

    def close(self) -> None:
        """Ends all trainings, and deletes everything."""
        self.trainings.close()
        self._top.cleanup()

    def _drop(self, key: str) -> None:
        lesson = self._lessons.pop(key)
        with lesson.lock:  # nobody writes into the folder any more
            lesson.subjects = {}
            if lesson.training:
                lesson.training.kill()
            shutil.rmtree(lesson.folder, ignore_errors=True)


def checked(name: object) -> str:
    """A name as a class can have it.

    Raises:
        LessonError: If it cannot, as the name of a folder or as a label.
    """
    text = " ".join(unicodedata.normalize("NFC", str(name or "")).split())
    try:
        check_label_names([text])
    except ConfigError:
        text = ""
    wrong = FORBIDDEN & set(text) or text.startswith((".", *LITTER)) or text.endswith(".")
    if not text or wrong or len(text) > LONGEST_NAME:
        raise LessonError(
            f"A class needs a name of 1 to {LONGEST_NAME} letters, without a dot at either end and "
            f"without {' '.join(sorted(FORBIDDEN))}"
        )
    return text


def shrunk(content: bytes) -> tuple[str, bytes]:
    """A picture as it is kept: the suffix of its file, and what that holds.

    Raises:
        ImageError: If it cannot be read.
    """
    image = read_image(content, at_least=SIDE, max_pixels=MAX_PIXELS)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        image.save(buffer, "PNG")
        return ".png", buffer.getvalue()
    image.save(buffer, "JPEG", quality=92)  # a quarter of a PNG's bytes; no network sees the rest
    return ".jpg", buffer.getvalue()
