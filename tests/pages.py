"""Pages to test: in this process, as a program of its own, and in a real browser.

The browser is Chromium without a window; it may reach this machine only.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
START = 120  # seconds that a page may take to start, on a slow machine beside other work
DESKTOP = {"width": 1280, "height": 900}

Url = str
NewPage = Callable[..., Any]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def opened(*arguments: str | Path, lines: TextIO | None = None) -> Iterator[tuple[Any, Url]]:
    """The page of `python app.py ARGUMENTS`, in this process: its ASGI program and its address."""
    import app

    options = app.parser().parse_args(["--port", free_port(), *map(str, arguments)])
    server, listener = app.open_page(options, lines)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield server.config.app, app.address_of(listener)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def served(
    *arguments: str | Path,
    command: Sequence[str] = ("app.py",),
    folder: Path = ROOT,
    env: dict[str, str] | None = None,
) -> Iterator[Url]:
    """Runs `python app.py ARGUMENTS` of a folder on a free port; no trace may be printed.

    Args:
        arguments: Of the program.
        command: What Python runs in the place of app.py.
        folder: Where it runs.
        env: Added to the environment.
    """
    with tempfile.TemporaryDirectory() as place, open(Path(place, "log"), "w") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--port", free_port(), *map(str, arguments)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **(env or {})},
        )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)
        said = _said(log)
        assert "Traceback" not in said, said


def _said(log: TextIO) -> str:
    """What a program has written; its own place in the file stays where it is."""
    with open(log.name, encoding="utf-8") as again:
        return again.read()


def _address(process: "subprocess.Popen[bytes]", log: TextIO) -> Url:
    """Waits until a page says where it is."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        ended = process.poll() is not None
        if found := re.search(r"The page is at (\S+)", _said(log)):
            return found[1]
        assert not ended, _said(log)
        time.sleep(0.1)
    raise AssertionError(f"The page did not start within {START} s: {_said(log)}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium, or name it in CHROMIUM)")
    from playwright import sync_api  # no other test needs it

    sync_api.expect.set_options(timeout=30_000)
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--use-fake-device-for-media-stream"],
        )
        yield running
        running.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[NewPage]:
    """Opens an address; the test fails if the page logs an error or asks another machine."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_page(url: Url, **settings: Any) -> Any:
        settings.setdefault("viewport", DESKTOP)
        context = browser.new_context(reduced_motion="reduce", **settings)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        here = (url, "data:", "blob:")

        def note(kind: str, text: str, problem: bool = True) -> None:
            if problem:
                problems.append(f"{kind}: {text}")

        page.on("console", lambda m: note(m.type, m.text, m.type in ("error", "warning")))
        page.on("pageerror", lambda error: note("exception", error))
        page.on("request", lambda r: note("request", r.url, not r.url.startswith(here)))
        page.goto(url)
        page.locator("#examples button").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, problems


@pytest.fixture(scope="session")
def default_url() -> Iterator[Url]:
    """The page as it comes: the default weights, no dataset, no training."""
    with served() as url:
        yield url


@pytest.fixture(scope="session")
def shapes_url(shapes: Path, trained: Path) -> Iterator[Url]:
    """A page about a small model, with the pictures it was tested on, and another to compare."""
    with served("--model", trained, "--model", ".", "--dataset", shapes) as url:
        yield url


@pytest.fixture(scope="session")
def training_url() -> Iterator[Url]:
    with served("--allow-training") as url:
        yield url


@pytest.fixture
def default_page(default_url: Url, new_page: NewPage) -> Any:
    return new_page(default_url)


@pytest.fixture
def shapes_page(shapes_url: Url, new_page: NewPage) -> Any:
    return new_page(shapes_url)
