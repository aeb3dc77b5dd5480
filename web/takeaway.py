"""What a visitor gets of a lesson by an address: pictures, answers to a camera, and downloads.

The address holds the visitor's key, which nobody else knows.
"""

import asyncio
import functools
import io
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from model import hub
from model.inference.classifier import Classifier
from model.utils.errors import CifarnetError
from web import cards
from web.answers import predict
from web.journal import Journal
from web.lessons import Lesson, Lessons
from web.models import loaded
from web.trainings import environment

IN_MEMORY = 8  # taught models, those used last
AT_ONCE = 2  # pictures of cameras that are looked at
PRIVATE = {"Cache-Control": "private, max-age=1800"}

taught: Callable[[Path], Classifier] = functools.lru_cache(IN_MEMORY)(loaded)
"""The model in a folder; each training has a folder of its own."""


class Takeaway:
    """Answers requests about lessons.

    Args:
        lessons: All of them.
        journal: Where questions are recorded.
    """

    def __init__(self, lessons: Lessons, journal: Journal) -> None:
        self._lessons, self._journal = lessons, journal
        # Waiting here takes no thread, of which other questions need some.
        self._looking, self._exporting = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    def routes(self) -> list[Route]:
        """For the web server."""
        found = {
            "picture/{number:int}/{picture:int}": self._picture,
            "pictures.zip": self._pictures,
            "model.zip": self._model,
            "model.onnx": self._onnx,
        }
        reading = [Route(f"/lesson/{{key}}/{name}", one) for name, one in found.items()]
        return [*reading, Route("/lesson/{key}/answer", self._answer, methods=["POST"])]

    async def _picture(self, request: Request) -> Response:
        lesson = self._lesson(request)
        subject = lesson and lesson.subjects.get(request.path_params["number"])
        path = subject and subject.pictures.get(request.path_params["picture"])
        return FileResponse(path, headers=PRIVATE) if path else _nothing()

    async def _pictures(self, request: Request) -> Response:
        lesson = self._lesson(request)
        files = lesson.files() if lesson else []
        return _sent(zipped(files), "pictures.zip") if files else _nothing()

    async def _model(self, request: Request) -> Response:
        folder = self._folder(request)
        if folder is None:
            return _nothing()
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        inside = [(f"my-model/{path.relative_to(folder).as_posix()}", path) for path in files]
        return _sent(zipped(inside), "my-model.zip")

    async def _onnx(self, request: Request) -> Response:
        folder = self._folder(request)
        if folder is None:
            return _nothing()
        path = folder.parent / "my-model.onnx"
        async with self._exporting:
            if not path.exists():  # in a process of its own: the exporter takes much memory
                command = (sys.executable, "-m", hub.__name__, "export-onnx", folder, path)
                process = await asyncio.create_subprocess_exec(
                    *map(str, command), env=environment(), stdout=asyncio.subprocess.DEVNULL
                )
                await process.wait()
        return FileResponse(path, filename=path.name) if path.exists() else _nothing()

    async def _answer(self, request: Request) -> Response:
        """What a lesson's model says about a picture in a request's body."""
        folder = self._folder(request)
        if folder is None:
            return _nothing()
        content = await request.body()
        async with self._looking:
            return JSONResponse({"html": await run_in_threadpool(self._said, folder, content)})

    def _said(self, folder: Path, content: bytes) -> str:
        try:
            with self._journal.question("camera") as entry:
                entry.size, classifier = len(content), taught(folder)
                (found,) = predict(classifier, [classifier.open(content)])
                entry.answered([found])
                return cards.answer(found)
        except CifarnetError as error:
            return cards.problem(str(error))

    def _lesson(self, request: Request) -> Lesson | None:
        return self._lessons.find(request.path_params["key"])

    def _folder(self, request: Request) -> Path | None:
        """Of a lesson's model."""
        lesson = self._lesson(request)
        return lesson.model if lesson else None


def zipped(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A zip of files, made while it is sent: neither memory nor disk holds more than one of them.

    Args:
        files: Names in the zip, and where each lies. What is gone by now is left out.
    """
    buffer = _Passing()
    with zipfile.ZipFile(buffer, "w") as archive:  # stored: nothing of it would become smaller
        for name, path in files:
            try:
                content = path.read_bytes()
            except OSError:
                continue
            archive.writestr(name, content)
            yield buffer.taken()
    yield buffer.taken()


class _Passing(io.RawIOBase):
    """A file that forgets what was taken out of it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._parts.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _sent(content: Iterator[bytes], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type="application/zip", headers=headers)


def _nothing() -> Response:
    return JSONResponse({"detail": "That is no longer here."}, 404)
