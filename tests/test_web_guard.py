"""Limits at the door, on a small program in the page's place."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

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
        parts: AsyncIterator[bytes] | None = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        client: str = "203.0.113.7",
    ) -> tuple[int, dict[str, Any], httpx.Headers]:
        """Sends a request whose body comes in parts; status, JSON, headers."""
        way = httpx.ASGITransport(self.guard, client=(client, 5000))
        async with httpx.AsyncClient(transport=way, base_url="http://page.example") as asking:
            answer = await asking.request(method, path, content=parts, headers=headers)
        return answer.status_code, json.loads(answer.content or b"{}"), answer.headers

    @property
    def refusals(self) -> str:
        return self.journal.metrics().decode()


async def _body(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


UNKNOWN = [
    *("/gradio_api/file=/etc/passwd", "/gradio_api/file=../config.json", "/monitoring", "/docs"),
    *("/gradio_api/proxy=http://127.0.0.1:9/", "/gradio_api/stream/x/y/z/playlist.m3u8", "/login"),
    *("/gradio_api/component_server", "/gradio_api/process_recording", "/gradio_api/deep_link"),
    *("/gradio_api/vibe-edit", "/gradio_api/upload/%2e%2e/file=x", "/gradio_api/run/classify"),
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
    async def slow(pause: float) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(pause)
            yield b"x"

    monkeypatch.setattr(guard, "PAUSE", 0.05)
    assert _run(Door().ask(parts=slow(60)))[0] == 408
    monkeypatch.setattr(guard, "LONGEST", 0.1)
    assert _run(Door().ask(parts=slow(0.01)))[0] == 408


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

        async def held() -> AsyncIterator[bytes]:
            await gate.wait()
            yield b""

        asked = [asyncio.create_task(door.ask(parts=held(), client=one)) for one in addresses]
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
