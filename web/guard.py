"""What stands before the page: limits that hold before anything is read, and two more addresses.

`/healthz` and `/metrics` are for those who run it. Everything that the page itself does not need,
above all gradio's ways of handing out files and of reaching other machines, does not exist.
Neither gradio nor uvicorn bounds a request's size, its pauses, or the crowd from one address.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web import uploads
from web.archive import MOST_BYTES
from web.journal import Journal, shortened

MOST_JSON = 16 * 2**20  # bytes of a request that is no upload
MOST_UPLOAD = MOST_BYTES + 2**20  # bytes of a request with files; one file has a limit of its own
AT_THE_DOOR = 64  # requests with a body that are worked on at the same time
EACH = 32  # of those, from the same address
PAUSE, LONGEST = 15.0, uploads.BROKEN_OFF  # seconds without a byte of a body, and for all of it
TIDY_AFTER = 64 * 2**20  # bytes of uploads
LEAST_COUNTED = 4 * 2**20  # bytes that an upload counts as: small ones may hold many files
DRAIN, MOST_DRAINED = 0.5, 64 * 2**20  # seconds and bytes of what is refused, still taken in
READING = ("GET", "HEAD", "OPTIONS")
UPLOAD = "/gradio_api/upload"
BUSY = "Too many people ask at the moment. This page is busy: try again in a few seconds."

QUESTION = re.compile(r"/gradio_api/(upload|queue/join|call/.*|mcp(/.*)?)/?")
OPEN = re.compile(  # what the page, programs and those who run it need
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|pwa_icon|healthz|metrics)/?"
    r"|/(assets|static|svelte|pwa_icon)/.*"
    r"|/gradio_api/(info|openapi\.json|app_id|login_check|token|user|startup-events|reset|cancel"
    r"|upload|upload_progress|queue/join|queue/data)/?"
    r"|/gradio_api/(call|heartbeat)/.*|/gradio_api/mcp(/.*)?"
    r"|/(login_check|token|user|app_id)/?"
)
ADDED_HEADERS = [  # no guessed types, no word to other sites about this one
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


@dataclass(frozen=True)
class Refusal:
    """Why a request is turned away."""

    code: int
    reason: str
    """For the journal."""
    sentence: str

    def response(self) -> Response:
        """What the visitor gets; the connection ends, whatever was still to come."""
        headers = {"Connection": "close"} | ({"Retry-After": "2"} if self.code == 503 else {})
        content = {"detail": self.sentence, "error": self.sentence}
        return JSONResponse(content, self.code, headers)


NOTHING_HERE = Refusal(404, "unknown address", "There is nothing at this address.")
FOREIGN = Refusal(403, "cross-site", "Another site's page may not send anything here.")
TOO_BUSY = Refusal(503, "busy", BUSY)
TOO_LARGE = Refusal(413, "too large", "That is too large; send a smaller picture.")
NONSENSE = Refusal(400, "not understood", "That request makes no sense to this page.")
TOO_SLOW = Refusal(408, "too slow", "That came too slowly; check the connection and try again.")


class _Stopped(Exception):
    """A request was turned away while its body came in."""


class _Visit:
    """One request: its body, watched while it comes in, and the way for its answer.

    Args:
        scope: Of the request.
        receive: Gives parts of the body.
        send: Takes the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.size, self._began = 0, time.monotonic()
        self._most = MOST_UPLOAD if scope["path"].startswith(UPLOAD) else MOST_JSON
        self._complete = scope["method"] in READING
        self.refusal: Refusal | None = None
        self._answered = False

    @property
    def address(self) -> str:
        """The visitor's, or that of the last proxy on the way."""
        return self.scope["client"][0] if self.scope.get("client") else ""

    def check_head(self) -> Refusal | None:
        """What the head of a request alone already tells."""
        headers = Headers(scope=self.scope)
        if not OPEN.fullmatch(self.scope["path"]):
            return NOTHING_HERE
        if self._complete:
            return None
        length = headers.get("content-length", "0")
        if _is_foreign(headers):
            return FOREIGN
        return TOO_LARGE if not length.isdecimal() or int(length) > self._most else None

    async def receive(self) -> Message:
        """The next part of the body, or what comes after it, within the limits."""
        try:
            message = await asyncio.wait_for(self._receive(), None if self._complete else PAUSE)
        except TimeoutError:
            self._stop(TOO_SLOW)
        self.size += len(message.get("body", b""))
        if message["type"] == "http.request" and not message.get("more_body"):
            self._complete = True
        if not self._complete and time.monotonic() - self._began > LONGEST:
            self._stop(TOO_SLOW)
        if self.size > self._most:
            self._stop(TOO_LARGE)
        return message

    def _stop(self, refusal: Refusal) -> NoReturn:
        self.refusal = refusal
        raise _Stopped

    async def send(self, message: Message) -> None:
        """Passes the page's answer on, unless the request is refused by now."""
        if message["type"] == "http.response.start" and message["status"] == 503:
            self.refusal = self.refusal or TOO_BUSY  # gradio's own words tell of sizes of queues
        if self._answered or not self.refusal:
            await self._pass_on(message)

    async def refuse(self, refusal: Refusal, journal: Journal) -> None:
        """Answers in the page's place, unless its answer is on the way already."""
        if self._answered:
            return
        journal.refused(refusal.reason, self.address, self.size)
        if not self._complete:
            await _drain(self._receive)
        await refusal.response()(self.scope, self._receive, self._pass_on)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answered = True
            message = {**message, "headers": [*message.get("headers", ()), *ADDED_HEADERS]}
        await self._send(message)


class Guard:
    """Turns away what is too large, too slow, too much at once, from another site, or unknown.

    Args:
        app: The page.
        journal: Where refusals are recorded.
        waiting: Tells how many questions wait for their turn.
        most_waiting: Of which no more are let in.
    """

    def __init__(
        self, app: ASGIApp, journal: Journal, waiting: Callable[[], int], most_waiting: int
    ) -> None:
        self._app, self._journal = app, journal
        self._waiting, self._most_waiting = waiting, most_waiting
        self._inside: Counter[str] = Counter()
        self._uploaded = 0  # bytes since files were last put in order

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request, or turns it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send)
        client = visit.address
        if ":" in client:  # a house has a whole network of IPv6 addresses
            client = shortened(client) or client
        if refusal := visit.check_head() or self._crowded(scope, client):
            await visit.refuse(refusal, self._journal)
        elif scope["method"] in READING:
            await self._handle(visit)
        else:
            self._inside[client] += 1
            try:
                await self._handle(visit)
            finally:
                self._inside -= Counter([client])  # which forgets whoever has left
                await self._tidy_after(visit)

    def _crowded(self, scope: Scope, client: str) -> Refusal | None:
        if scope["method"] in READING:
            return None
        crowded = self._inside.total() >= AT_THE_DOOR or self._inside[client] >= EACH
        full = QUESTION.fullmatch(scope["path"]) and self._waiting() >= self._most_waiting
        return TOO_BUSY if crowded or full else None

    async def _handle(self, visit: _Visit) -> None:
        """Runs the page, and answers in its place if something goes wrong."""
        try:
            await self._app(visit.scope, visit.receive, visit.send)
        except _Stopped:
            pass
        except ClientDisconnect:
            return
        except Exception as error:  # gradio raises them at nonsense
            print(f"{visit.scope['path']!r}: {type(error).__name__}", file=sys.stderr, flush=True)
            visit.refusal = visit.refusal or NONSENSE
        if visit.refusal:
            await visit.refuse(visit.refusal, self._journal)

    async def _tidy_after(self, visit: _Visit) -> None:
        if visit.scope["path"].startswith(UPLOAD):
            self._uploaded += max(visit.size, LEAST_COUNTED)
        if self._uploaded >= TIDY_AFTER:
            self._uploaded = 0
            await asyncio.to_thread(uploads.tidy)


def app_settings(
    journal: Journal,
    waiting: Callable[[], int],
    most_waiting: int,
    models: Callable[[], list[str]],
) -> dict[str, Any]:
    """What gradio's `launch` needs as `app_kwargs`: the guard and the two addresses.

    Args:
        journal: Where refusals are recorded, and whose numbers are shown.
        waiting: Tells how many questions wait for their turn.
        most_waiting: Of which no more are let in.
        models: Tells the names of those that answer.
    """

    def health(request: Request) -> Response:
        count = waiting()
        status = "busy" if count >= most_waiting else "ok"
        return JSONResponse({"status": status, "waiting": count, "models": models()})

    def metrics(request: Request) -> Response:
        return Response(journal.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    settings: Any = dict(journal=journal, waiting=waiting, most_waiting=most_waiting)
    return dict(
        routes=[Route("/healthz", health), Route("/metrics", metrics)],
        middleware=[Middleware(Guard, **settings)],
    )


async def _drain(receive: Receive) -> None:
    """Takes in some of an unwanted body: with a broken connection the answer would be lost."""
    size, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            while more and size < MOST_DRAINED:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sends this."""
    if site := headers.get("sec-fetch-site"):  # which holds behind any proxy
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
