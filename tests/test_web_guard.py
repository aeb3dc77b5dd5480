"""Limits at the door, on a small program in the page's place."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from web import guard
from web.guard import Guard
from web.journal import Journal

Found = TypeVar("Found")
JSON, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


async def _reads_all(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body)})(scope, receive, send)


async def _is_full(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "Queue is full. Max size is 64 and size is 64."
    await JSONResponse({"detail": detail}, 503)(scope, receive, send)


def _run(asking: Coroutine[Any, Any, Found]) -> Found:
    """Runs to the end in a thread of its own: in this one the browser's loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asking).result()


class Door:
    """A guard, and a way to ask it."""

    def __init__(self, app: Any = _reads_all, full: bool = False) -> None:
        self.journal = Journal()
        self.guard = Guard(app, self.journal, lambda: full, "/pets")

    async def ask(
        self,
        path: str = JSON,
        parts: Callable[[], Awaitable[bytes | None]] | None = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        client: str = "203.0.113.7",
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Sends a request whose body comes from `parts`, until None; status, JSON, headers."""
        sent: list[Message] = []

        ended = False

        async def receive() -> Message:
            nonlocal ended
            if ended:  # as a server does: nothing more comes until the visitor goes
                await asyncio.Event().wait()
            part = await parts() if parts else None
            ended = part is None
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message: Message) -> None:
            sent.append(message)

        fields = {"host": "page.example", "transfer-encoding": "chunked", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in fields.items()],
            "client": (client, 5000),
        }
        await self.guard(scope, receive, send)
        assert [m["type"] for m in sent].count("http.response.start") == 1
        body = b"".join(m.get("body", b"") for m in sent)
        found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], json.loads(body or b"{}"), found

    @property
    def refusals(self) -> str:
        return self.journal.metrics().decode()


def _body(*parts: bytes) -> Callable[[], Awaitable[bytes | None]]:
    left = iter(parts)

    async def part() -> bytes | None:
        return next(left, None)

    return part


UNKNOWN = [
    *("/gradio_api/file=/etc/passwd", "/gradio_api/file=../config.json", "/monitoring", "/docs"),
    *("/gradio_api/proxy=http://127.0.0.1:9/", "/gradio_api/stream/x/y/z/playlist.m3u8", "/login"),
    *("/gradio_api/component_server", "/gradio_api/process_recording", "/gradio_api/deep_link"),
    *("/gradio_api/vibe-edit", "/gradio_api/upload/../file=x", "/gradio_api/run/classify"),
    *("/gradio_api/api/classify", "/monitoring/summary", "/anything"),
]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_page_does_not_need_does_not_exist(path: str, method: str) -> None:
    assert _run(Door().ask(path, method=method))[0] == 404


@pytest.mark.parametrize(("path", "most"), [(JSON, 16), (UPLOAD, 301)])
def test_sizes_are_refused_by_what_they_claim(path: str, most: int) -> None:
    for size, status in ((most * 2**20, 200), (most * 2**20 + 1, 413)):
        claim = {"content-length": str(size)}
        assert _run(Door().ask(path, headers=claim))[0] == status
    assert _run(Door().ask(path, headers={"content-length": "-5"}))[0] == 413


def test_sizes_are_refused_by_what_really_comes() -> None:
    door, megabyte = Door(), bytes(2**20)
    status, content, headers = _run(door.ask(parts=_body(b"12", b"345")))
    assert (status, content) == (200, {"bytes": 5})
    assert headers["x-content-type-options"] == "nosniff"
    status, content, _ = _run(door.ask(parts=_body(*[megabyte] * 17)))
    assert status == 413
    assert "smaller" in content["detail"]
    assert 'reason="too large"} 1.0' in door.refusals


def test_a_body_that_trickles_or_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> bytes | None:
        await asyncio.sleep(60)
        return None

    async def trickle() -> bytes | None:
        await asyncio.sleep(0.01)
        return b"x"

    monkeypatch.setattr(guard, "PAUSE", 0.05)
    assert _run(Door().ask(parts=never))[0] == 408
    monkeypatch.setattr(guard, "LONGEST", 0.1)
    assert _run(Door().ask(parts=trickle))[0] == 408


def test_waiting_for_the_answer_is_no_slow_body(monkeypatch: pytest.MonkeyPatch) -> None:
    async def listens(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        with suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.2)  # until the visitor goes
        await JSONResponse({})(scope, receive, send)

    monkeypatch.setattr(guard, "PAUSE", 0.05)
    assert _run(Door(listens).ask(parts=_body()))[0] == 200


def _sent(origin: str, site: str = "", forwarded: str = "", host: str = "page.example") -> Any:
    return {"host": host, "origin": origin, "sec-fetch-site": site, "x-forwarded-host": forwarded}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (_sent("https://page.example"), 200),
        (_sent("https://evil.example"), 403),
        (_sent("https://page.example.evil.example"), 403),
        (_sent("null"), 403),
        (_sent("http://["), 403),
        (_sent("https://public.example", "same-origin"), 200),  # behind a proxy
        (_sent("https://public.example", "none"), 200),
        (_sent("https://public.example", "same-site"), 403),
        (_sent("https://page.example", "cross-site"), 403),
        # A proxy may change the host: the port gets lost, or is added.
        (_sent("http://page.example:8080"), 200),
        (_sent("http://page.example", host="page.example:80"), 200),
        (_sent("https://page.example", host="page.example:443"), 200),
        (_sent("http://page.example:8080", "", "page.example:8080, cache", "127.0.0.1:7860"), 200),
        (_sent("http://[::1]:7860", host="[::1]:7860"), 200),
        (_sent("http://evil.example", host="page.example:8080"), 403),
        (_sent("http://page.example:9090", host="page.example:8080"), 403),
        (_sent("http://page.example", host="page.example:8080"), 403),
        (_sent("http://evil.example", "", "page.example", "127.0.0.1:7860"), 403),
        (_sent("http://page.example", host="page.example:port"), 403),
    ],
)
def test_another_sites_page_may_send_nothing(headers: dict[str, str], status: int) -> None:
    headers = {name: value for name, value in headers.items() if value}
    for method in ("POST", "OPTIONS"):  # the latter asks whether the former would be taken
        assert _run(Door().ask(method=method, headers=headers))[0] == status


def test_a_proxy_may_leave_a_path_before_the_pages_own() -> None:
    for path, status in ((f"/pets{JSON}", 200), (f"/cats{JSON}", 404), (f"/petshop{JSON}", 404)):
        assert _run(Door().ask(path))[0] == status


def test_whoever_waits_can_go_when_the_queue_is_full() -> None:
    door = Door(full=True)
    assert _run(door.ask("/gradio_api/cancel"))[0] == 200
    assert _run(door.ask("/gradio_api/upload"))[0] == 503


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        ([f"203.0.113.{i}" for i in range(80)], 16),
        (["203.0.113.9"] * 40, 8),
        ([f"2001:db8:7::{i}" for i in range(40)], 8),  # one house
    ],
)
def test_too_many_at_once_hear_so(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], refused: int
) -> None:
    monkeypatch.setattr(guard, "DRAIN", 0.01)

    async def crowd() -> None:
        door, gate = Door(), asyncio.Event()

        async def held() -> bytes | None:
            await gate.wait()
            return None

        asked = [asyncio.create_task(door.ask(parts=held, client=one)) for one in addresses]
        async with asyncio.timeout(30):
            while sum(task.done() for task in asked) < refused:
                await asyncio.sleep(0.01)
        gate.set()
        codes = [(await task)[0] for task in asked]
        assert sorted(codes) == [200] * (len(codes) - refused) + [503] * refused
        assert (await door.ask())[0] == 200  # and afterwards all is as before

    _run(crowd())


def test_what_the_page_stumbles_over_is_refused_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def stumbles(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("inner workings")

    for method in ("GET", "POST"):
        status, content, _ = _run(Door(stumbles).ask(method=method))
        assert status == 400
        assert "no sense" in content["error"]
        assert "inner workings" not in json.dumps(content)
    assert capsys.readouterr().err == f"'{JSON}': KeyError\n" * 2


def test_busy_is_said_in_words_whoever_notices() -> None:
    for door in (Door(full=True), Door(_is_full)):
        status, content, headers = _run(door.ask())
        assert status == 503
        assert content["detail"] == content["error"] == guard.BUSY
        assert headers["retry-after"] == "2"
        assert 'reason="busy"} 1.0' in door.refusals
