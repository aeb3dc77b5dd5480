"""Attacks on the running page: nothing is read, reached or told that should not be."""

import http.client
import itertools
import json
import os
import secrets
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from conftest import ROOT
from pages import served
from watched import MARK, WATCH, Site, until

from web import uploads

pytestmark = pytest.mark.slow
TELLTALE = ("Traceback", str(ROOT), "site-packages", "/tmp/")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page, each of whose connections is written down by Python itself."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(WATCH)
    (folder / "uploads").mkdir()
    env = {
        "PYTHONPATH": str(folder),
        "CONNECTIONS": str(folder / "connections"),
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "PYTHONUNBUFFERED": "1",
    }
    with served(env=env) as url:
        yield Site(url, folder)


def _spellings(path: str) -> list[str]:
    """The same path as it may hide in an address."""
    return [path, quote(path, safe=""), quote(quote(path, safe=""), safe=""), f"./{path}"]


@pytest.mark.parametrize("door", ["file=", "file/", "proxy=", "static/", "custom_component/1/c/"])
@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", str(ROOT / "config.json"), "../../../../etc/passwd", "model.safetensors"],
)
def test_no_file_of_the_machine_can_be_had(site: Site, door: str, target: str) -> None:
    for spelling in _spellings(target):
        for prefix in ("/gradio_api/", "/", "//"):
            status, text, _ = site.ask("GET", prefix + door + spelling)
            assert status in (400, 403, 404, 405), (prefix, spelling)
            assert "root:" not in text
            assert "architecture" not in text
    for path in ("/assets/../app.py", "/assets/%2e%2e/%2e%2e/app.py", "/static/..%2f..%2fapp.py"):
        status, text, _ = site.ask("GET", path)
        assert "argparse" not in text


def test_somebody_elses_upload_cannot_be_had(site: Site) -> None:
    status, text, _ = site.upload()
    assert status == 200
    (path,) = json.loads(text)
    for door in ("file=", "file/"):
        for spelling in _spellings(path):
            assert site.ask("GET", f"/gradio_api/{door}{spelling}")[0] in (403, 404)
    assert '"label": "ship"' in site.call({"path": path, **MARK})


FORGED = [
    "/etc/passwd",
    str(ROOT / "examples" / "ship.png"),
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "",
    "\0",
    "a" * 5000,
    None,
    7,
    ["x"],
    {"path": "/etc/passwd"},
]


@pytest.mark.parametrize("path", FORGED, ids=repr)
def test_forged_uploads_are_refused(site: Site, path: Any) -> None:
    for file in (
        {"path": path},
        {"path": path, **MARK},
        {"path": "x", "url": path, **MARK},
        {"path": path, "is_stream": True, "orig_name": "../../x", "size": -1},
        path,
    ):
        for answer in (site.call(file), site.call([file], name="classify_batch")):
            assert '"label"' not in answer
            for word in TELLTALE:
                assert word not in answer


def test_no_address_is_fetched_and_nothing_is_connected_to(site: Site) -> None:
    site.upload()  # whatever serving needs has been done once
    before = site.connections.read_text() if site.connections.is_file() else ""
    for target in (
        "http://127.0.0.1:9/a.png",
        "http://localhost:9/a.png",
        "http://2130706433:9/a.png",
        "http://[::1]:9/a.png",
        "http://[::ffff:127.0.0.1]:9/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/a.png",
        "ftp://127.0.0.1/a.png",
        "//127.0.0.1/a.png",
        "gopher://127.0.0.1/1",
        "https://example.com/a.png",
    ):
        for file in ({"path": target, **MARK}, {"url": target}):
            for answer in (site.call(file), site.call([file], name="classify_batch")):
                assert '"label"' not in answer
                assert '"error": null' not in answer
        assert site.ask("GET", f"/gradio_api/file={target}")[0] == 404
        assert site.ask("GET", f"/gradio_api/proxy={target}")[0] == 404
    after = site.connections.read_text() if site.connections.is_file() else ""
    assert after == before
    assert "example" not in after


def test_the_watch_over_connections_works(site: Site) -> None:
    """When it started, the page looked up the address that it listens on: that only was seen."""
    seen = site.connections.read_text().splitlines()
    assert seen
    assert set(seen) == {f"socket.getaddrinfo {urlsplit(site.url).hostname!r}"}


def test_bodies_that_are_too_large_are_refused(site: Site) -> None:
    status, text, _ = site.upload(content=bytes(51 * 2**20))
    assert status == 413
    status, text = site.json("/gradio_api/call/classify", {"data": ["x" * (17 * 2**20)]})
    assert status == 413
    assert "smaller" in text


def test_answers_to_nonsense_hold_no_traces_or_paths(site: Site) -> None:
    for path in ("/gradio_api/queue/join", "/gradio_api/call/classify", "/gradio_api/call/x"):
        nonsense: list[Any] = [None, 5, [], {}, {"data": None}, {"data": {}}, {"data": [[[]]]}]
        for content in nonsense:
            for extra in ({}, {"fn_index": 999, "session_hash": "x"}, {"fn_index": "a"}):
                body = {**content, **extra} if isinstance(content, dict) else content
                text = site.json(path, body)[1]
                for word in TELLTALE:
                    assert word not in text, (path, body)
    for path in ("/gradio_api/call/no_such/x", "/gradio_api/queue/data?session_hash=../../x"):
        connection = http.client.HTTPConnection(site.address, timeout=60)
        connection.request("GET", path)
        try:
            text = connection.getresponse().read(2000).decode()
        except http.client.IncompleteRead as error:  # a stream that ends as it may
            text = error.partial.decode()
        connection.close()
        for word in TELLTALE:
            assert word not in text


def test_nonsense_for_every_function_leaves_no_trace(site: Site) -> None:
    """That the page has printed none is looked at when it ends."""
    config = json.loads(site.ask("GET", "/config")[1])
    functions = config["dependencies"]
    # Those of the API, and those that only the tabs call.
    assert {one["api_visibility"] for one in functions} == {"public", "private"}
    values = {part["id"]: part["props"].get("value") for part in config["components"]}
    events: list[Any] = [None, {}, [], "x", 5]
    for function, event in itertools.product(functions, events):
        inputs = function["inputs"]
        for data in ([], [None] * len(inputs), [values[number] for number in inputs]):
            session = secrets.token_hex(8)
            body = {"data": data, "fn_index": function["id"], "session_hash": session}
            status, text = site.json("/gradio_api/queue/join", {**body, "event_data": event})
            if status == 200:
                text = site.ask("GET", f"/gradio_api/queue/data?session_hash={session}")[1]
                assert "process_completed" in text, body
                assert '"error":null' not in text.replace(" ", ""), body
            for word in TELLTALE:
                assert word not in text, body


def test_an_upload_that_is_broken_off_is_removed(site: Site) -> None:
    host, _, port = site.address.partition(":")
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {site.address}\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\n\r\n--cut\r\nContent-Disposition: "
        'form-data; name="files"; filename="half.png"\r\n\r\n'
    )
    received = lambda: [p for p in site.uploads.iterdir() if p.is_file()]  # noqa: E731
    with socket.create_connection((host, int(port))) as s:
        s.sendall(head.encode() + bytes(2_000_000))
        # What has not been written when the connection breaks need not be.
        until(lambda: [path.stat().st_size for path in received()] == [2_000_000])
    for path in received():
        os.utime(path, (1, 1))  # long ago
    for _ in range(2):  # after so many bytes files are put in order
        assert site.upload(content=bytes(uploads.AFTER // 2))[0] == 200
    until(lambda: not received(), seconds=5)


def test_training_is_really_off(site: Site) -> None:
    config = json.loads(site.ask("GET", "/config")[1])
    tabs = {one["props"].get("label") for one in config["components"]}
    assert "Classify" in tabs
    assert "Teach it" not in tabs
    info = site.ask("GET", "/gradio_api/info")[1]
    assert "train" not in info
    names = {d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"}
    assert names == {"classify", "classify_batch"}
