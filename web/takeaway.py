"""What a visitor gets of a lesson by an address: pictures, answers to a camera, and downloads.

The address holds the visitor's key, which nobody else knows.
"""

import asyncio
import functools
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from model import hub
from model.inference.classifier import Classifier
from web import cards
from web.answers import answers
from web.journal import Journal
from web.lessons import Lesson, Lessons
from web.models import loaded
from web.trainings import environment

IN_MEMORY = 8  # taught models, those used last
AT_ONCE = 2  # pictures of cameras that are looked at
Found = TypeVar("Found")
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
        subject = _there(self._lesson(request).subjects.get(request.path_params["number"]))
        path = subject.pictures.get(request.path_params["picture"])
        return FileResponse(_there(path), headers=PRIVATE)

    def _pictures(self, request: Request) -> Response:
        return _sent(zipped(_there(self._lesson(request).files())), "pictures.zip")

    def _model(self, request: Request) -> Response:
        folder = _there(self._lesson(request).model)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        inside = [(f"my-model/{path.relative_to(folder).as_posix()}", path) for path in files]
        return _sent(zipped(inside), "my-model.zip")

    async def _onnx(self, request: Request) -> Response:
        folder = _there(self._lesson(request).model)
        path = folder.parent / "my-model.onnx"
        async with self._exporting:
            if not path.exists():  # in a process of its own: the exporter takes much memory
                command = (sys.executable, "-m", hub.__name__, "export-onnx", folder, path)
                process = await asyncio.create_subprocess_exec(
                    *map(str, command), env=environment(), stdout=asyncio.subprocess.DEVNULL
                )
                await process.wait()
        return FileResponse(_there(path.exists() and path), filename=path.name)

    async def _answer(self, request: Request) -> Response:
        """What a lesson's model says about a picture in a request's body."""
        folder = _there(self._lesson(request).model)
        content = await request.body()
        async with self._looking:
            return JSONResponse({"html": await run_in_threadpool(self._said, folder, content)})

    def _said(self, folder: Path, content: bytes) -> str:
        with self._journal.question("camera") as entry:
            (one,) = answers(taught(folder), [content], entry)
        return cards.answer(one.prediction) if one.prediction else cards.problem(str(one.problem))

    def _lesson(self, request: Request) -> Lesson:
        return _there(self._lessons.find(request.path_params["key"]))


def zipped(files: Iterable[tuple[str, Path]]) -> IO[bytes]:
    """A zip on the disk that is gone once it is closed.

    Args:
        files: Names in the zip, and where each lies. What is gone by now is left out.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    with zipfile.ZipFile(file, "w") as archive:  # stored: nothing of it would become smaller
        for name, path in files:
            with suppress(OSError):
                archive.write(path, name)
    file.seek(0)
    return file


def _sent(file: IO[bytes], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    parts = iter(functools.partial(file.read, 2**16), b"")
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


def _there(found: Found | Literal[False] | None) -> Found:
    """What was asked for, if it is there."""
    if not found:
        raise HTTPException(404, "That is no longer here.")
    return found
