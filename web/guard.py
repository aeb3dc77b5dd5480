"""What stands before the page: limits that hold before anything is read, and two more addresses.

`/healthz` and `/metrics` are for those who run it. Everything that the page itself does not need,
above all gradio's ways of handing out files and of reaching other machines, does not exist.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web import tidy
from web.archive import MOST_BYTES
from web.journal import Journal, shortened

MOST_JSON = 16 * 2**20  # bytes of a request that is no upload
MOST_UPLOAD = MOST_BYTES + 2**20  # bytes of a request with files; one file has a limit of its own
AT_THE_DOOR = 64  # requests with a body that are worked on at the same time
EACH = 32  # of those, from the same address
PAUSE, LONGEST = 15.0, tidy.BROKEN_OFF  # seconds without a byte of a body, and for all of it
TIDY_AFTER = 64 * 2**20  # bytes of uploads
LEAST_COUNTED = 4 * 2**20  # bytes that an upload counts as: small ones may hold many files
DRAIN, MOST_DRAINED = 0.5, 64 * 2**20  # seconds and bytes of what is refused, still taken in
READING = ("GET", "HEAD", "OPTIONS")
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
    """The body of a request went beyond a limit."""


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
        client = _address(scope)
        if ":" in client:  # a house has a whole network of IPv6 addresses
            client = shortened(client) or client
        refusal = self._refusal(scope, client)
        if refusal:
            await self._refuse(refusal, scope, receive, send)
        elif scope["method"] in READING:
            await self._watched(scope, receive, send)
        else:
            self._inside[client] += 1
            size = 0
            try:
                size = await self._watched(scope, receive, send)
            finally:
                self._inside[client] -= 1
                if not self._inside[client]:
                    del self._inside[client]
                if scope["path"].startswith("/gradio_api/upload"):
                    self._uploaded += max(size, LEAST_COUNTED)
            if self._uploaded >= TIDY_AFTER:
                self._uploaded = 0
                await asyncio.to_thread(tidy.up)

    def _refusal(self, scope: Scope, client: str) -> Refusal | None:
        """What the head of a request already tells."""
        headers = Headers(scope=scope)
        if not OPEN.fullmatch(scope["path"]):
            return NOTHING_HERE
        if scope["method"] in READING:
            return None
        if _is_foreign(headers):
            return FOREIGN
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _most(scope):
            return TOO_LARGE
        crowded = self._inside.total() >= AT_THE_DOOR or self._inside[client] >= EACH
        full = QUESTION.fullmatch(scope["path"]) and self._waiting() >= self._most_waiting
        return TOO_BUSY if crowded or full else None

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Runs the page while a body comes in, and answers in its place if something goes wrong.

        Returns:
            Bytes of the body that came in.
        """
        problem: Refusal | None = None
        started = False
        size, began, most = 0, time.monotonic(), _most(scope)

        async def limited() -> Message:
            nonlocal size, problem
            try:
                message = await asyncio.wait_for(receive(), PAUSE if not done() else None)
            except TimeoutError:
                problem = TOO_SLOW
                raise _Stopped from None
            size += len(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                whole.set()
            elif not done() and time.monotonic() - began > LONGEST:
                problem = TOO_SLOW
                raise _Stopped
            if size > most:
                problem = TOO_LARGE
                raise _Stopped
            return message

        async def replaced(message: Message) -> None:
            nonlocal started, problem
            if message["type"] == "http.response.start" and message["status"] == 503:
                problem = problem or TOO_BUSY  # gradio's own words tell of sizes of queues
            if problem and not started:
                return
            started = True
            await outward(message)

        whole = asyncio.Event()
        if scope["method"] in READING:
            whole.set()
        done = whole.is_set
        outward = _with_headers(send)
        try:
            await self._app(scope, limited, replaced)
        except _Stopped:
            pass
        except ClientDisconnect:
            return size
        except Exception as error:  # gradio raises them at nonsense
            print(f"{scope['path']!r}: {type(error).__name__}", file=sys.stderr, flush=True)
            problem = problem or NONSENSE
        if problem and not started:
            self._journal.refused(problem.reason, _address(scope), size)
            if problem is TOO_LARGE:
                await _drained(receive)
            await problem.response()(scope, receive, outward)
        return size

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        self._journal.refused(refusal.reason, _address(scope))
        if "content-length" in (headers := Headers(scope=scope)) or "transfer-encoding" in headers:
            await _drained(receive)
        await refusal.response()(scope, receive, _with_headers(send))


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

    settings = dict(journal=journal, waiting=waiting, most_waiting=most_waiting)
    return dict(
        routes=[Route("/healthz", health), Route("/metrics", metrics)],
        middleware=[Middleware(Guard, **settings)],  # type: ignore[arg-type]
    )


async def _drained(receive: Receive) -> None:
    """Takes in some of an unwanted body: with a broken connection the answer would be lost."""
    size, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            while more and size < MOST_DRAINED:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def _address(scope: Scope) -> str:
    """The visitor's, or that of the last proxy on the way."""
    return scope["client"][0] if scope.get("client") else ""


def _most(scope: Scope) -> int:
    """Bytes that a request may have."""
    return MOST_UPLOAD if scope["path"].startswith("/gradio_api/upload") else MOST_JSON


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sends this."""
    if site := headers.get("sec-fetch-site"):  # which holds behind any proxy
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _with_headers(send: Send) -> Send:
    """Adds what keeps a browser from guessing types and from telling others about the page."""
    added = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
