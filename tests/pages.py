"""Fixtures: real pages in a real browser, Chromium without a window, on this machine only."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
START = 120  # seconds that a page may take to start, on a slow machine beside other work
DESKTOP = {"width": 1280, "height": 900}

Url = str
NewPage = Callable[..., Any]


@contextmanager
def served(
    *arguments: str | Path,
    command: Sequence[str] = ("app.py",),
    folder: Path = ROOT,
    env: dict[str, str] | None = None,
    log: Path | None = None,
    out: Path | None = None,
) -> Iterator[Url]:
    """Runs `python app.py ARGUMENTS` on a free port.

    Args:
        arguments: Of the program.
        command: What Python runs in the place of app.py.
        folder: Where it runs.
        env: Added to the environment.
        log: Where its output goes; None forgets it in the end.
        out: Where its standard output goes, if apart.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, *command, "--port", str(port), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as directory:
        log = log or Path(directory) / "log"
        with open(log, "w") as output, open(out or os.devnull, "w") as apart:
            process = subprocess.Popen(
                line,
                cwd=folder,
                stdout=apart if out else output,
                stderr=output,
                env={**os.environ, **(env or {})},
            )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)
        said = log.read_text()
        assert "Traceback" not in said, said


def _address(process: "subprocess.Popen[bytes]", log: Path) -> Url:
    """Waits until a page says where it is."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        ended = process.poll() is not None
        said = log.read_text()
        if found := re.search(r"The page is at (\S+)", said):
            return found[1]
        assert not ended, said
        time.sleep(0.1)
    raise AssertionError(f"The page did not start within {START} s: {said}")


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
        page.on("console", lambda m: _note(problems, m.type, m.text))
        page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
        page.on("request", lambda request: _only_here(problems, request.url, url))
        page.goto(url)
        page.locator("#examples button").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def _note(problems: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        problems.append(f"{kind}: {text}")


def _only_here(problems: list[str], asked: str, url: Url) -> None:
    if not asked.startswith((url, "data:", "blob:")):
        problems.append(f"request: {asked}")


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


@pytest.fixture
def training_page(training_url: Url, new_page: NewPage) -> Any:
    return new_page(training_url)
