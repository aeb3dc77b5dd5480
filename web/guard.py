"""What stands before the page: limits that hold before anything is read.

Everything that the page itself does not need, above all gradio's ways of handing out files and of
reaching other machines, does not exist. Neither gradio nor uvicorn bounds a request's size, its
pauses, or the crowd from one address.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web import uploads
from web.archive import MOST_BYTES
from web.journal import Journal, shortened

MOST_JSON = 16 * 2**20  # bytes of a request that is no upload
MOST_UPLOAD = MOST_BYTES + 2**20  # bytes of a request with files; one file has a limit of its own
AT_THE_DOOR = 64  # requests with a body that are worked on at the same time
EACH = 32  # of those, from the same address
PAUSE, LONGEST = 15.0, uploads.BROKEN_OFF  # seconds without a byte of a body, and for all of it
DRAIN, MOST_DRAINED = 0.5, 64 * 2**20  # seconds and bytes of what is refused, still taken in
READING = ("GET", "HEAD")
UPLOAD = "/gradio_api/upload"
BUSY = "Too many people ask at the moment. This page is busy: try again in a few seconds."

OPEN = re.compile(  # what the page, programs and those who run it need
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|pwa_icon|healthz|metrics)/?"
    r"|/(assets|static|svelte|pwa_icon)/.*"
    r"|/gradio_api/(info|openapi\.json|app_id|login_check|token|user|startup-events|reset|cancel"
    r"|upload|upload_progress|queue/join|queue/data)/?"
    r"|/gradio_api/(call|heartbeat)/.*|/gradio_api/mcp(/.*)?"
    r"|/lesson/[0-9a-f]{32}/(answer|picture/\d+/\d+|(model|pictures)\.zip|model\.onnx)"
    r"|/(login_check|token|user|app_id)/?"
)
LEAVING = re.compile(r"/gradio_api/(cancel|reset)/?")  # may be sent when the queue is full
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
        self.path, self.reads = scope["path"], scope["method"] in READING
        self.address = scope["client"][0] if scope.get("client") else ""  # or the last proxy's
        self.size, self._began = 0, time.monotonic()
        self._most = MOST_UPLOAD if self.path.startswith(UPLOAD) else MOST_JSON
        self._complete = self.reads
        self.refusal: Refusal | None = None
        self._answered = False

    def check_head(self) -> Refusal | None:
        """What the head of a request alone already tells."""
        headers = Headers(scope=self.scope)
        if not OPEN.fullmatch(self.path):
            return NOTHING_HERE
        if self.reads:
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
        # The connection ends, whatever was still to come.
        headers = {"Connection": "close"} | ({"Retry-After": "2"} if refusal.code == 503 else {})
        content = {"detail": refusal.sentence, "error": refusal.sentence}
        answer = JSONResponse(content, refusal.code, headers)
        await answer(self.scope, self._receive, self._pass_on)

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
        full: Tells whether so many questions wait for their turn that no more are let in.
        prefix: Path that a proxy may leave before the page's own.
    """

    def __init__(
        self, app: ASGIApp, journal: Journal, full: Callable[[], bool], prefix: str = ""
    ) -> None:
        self._app, self._journal, self._full, self._prefix = app, journal, full, prefix
        self._inside: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request, or turns it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}
        visit = _Visit(scope, receive, send)
        if refusal := visit.check_head():
            await visit.refuse(refusal, self._journal)
        elif visit.reads:
            await self._handle(visit)
        else:
            await self._let_in(visit)

    async def _let_in(self, visit: _Visit) -> None:
        """Handles a request with a body, if there is room."""
        client = visit.address
        if ":" in client:  # a house has a whole network of IPv6 addresses
            client = shortened(client) or client
        crowded = self._inside.total() >= AT_THE_DOOR or self._inside[client] >= EACH
        if crowded or (self._full() and not LEAVING.fullmatch(visit.path)):
            await visit.refuse(TOO_BUSY, self._journal)
            return
        self._inside[client] += 1
        try:
            await self._handle(visit)
        finally:
            self._inside -= Counter([client])  # which forgets whoever has left
            if visit.path.startswith(UPLOAD):
                uploads.received(visit.size)

    async def _handle(self, visit: _Visit) -> None:
        """Runs the page, and answers in its place if something goes wrong."""
        try:
            await self._app(visit.scope, visit.receive, visit.send)
        except _Stopped:
            pass
        except ClientDisconnect:
            return
        except Exception as error:  # gradio raises them at nonsense
            print(f"{visit.path!r}: {type(error).__name__}", file=sys.stderr, flush=True)
            visit.refusal = visit.refusal or NONSENSE
        if visit.refusal:
            await visit.refuse(visit.refusal, self._journal)


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
    """Whether a browser says that another site's page sends this.

    A proxy may pass on the host without its port, or the browser's own in a header of its own.
    """
    if site := headers.get("sec-fetch-site"):  # which holds behind any proxy
        return site not in ("same-origin", "none")
    if (origin := headers.get("origin")) is None:
        return False
    hosts = (headers.get("x-forwarded-host", "").split(",")[0].strip(), headers.get("host", ""))
    try:
        sender = urlsplit(origin)
        return not any(_is_at(sender, urlsplit(f"//{host}")) for host in hosts if host)
    except ValueError:  # no addresses at all
        return True


def _is_at(sender: SplitResult, here: SplitResult) -> bool:
    port = sender.port or {"http": 80, "https": 443}.get(sender.scheme)
    return sender.hostname == here.hostname and here.port in (None, port)
