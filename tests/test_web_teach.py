"""Attacks on lessons of the running page: nobody gets at another's, and nobody takes too much."""

import io
import json
import secrets
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from pages import served

# Collected here as well, for the page with lessons.
from test_web_attacks import (  # noqa: F401
    TELLTALE,
    test_nonsense_for_every_function_leaves_no_trace,
)
from watched import MARK, Site

from model.utils.pixels import png
from model.utils.synthetic import picture

pytestmark = pytest.mark.slow
ALICE, BOB = "a" * 32, "b" * 32
PICTURE = png(picture(0, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served("--allow-training") as url:
        yield Site(url, tmp_path_factory.mktemp("teach"))


def act(site: Site, name: str, *data: Any, **event: Any) -> str:
    """What comes of an event of the tab, as its browser sends it."""
    session = secrets.token_hex(8)
    body = {"data": data, "fn_index": _function(site, name), "session_hash": session}
    body |= {"event_data": event}
    status, text = site.json("/gradio_api/queue/join", body)
    assert status == 200, text
    said = site.ask("GET", f"/gradio_api/queue/data?session_hash={session}")[1]
    for word in TELLTALE:
        assert word not in said
    return said.replace('\\"', '"')


def _function(site: Site, name: str) -> int:
    """The number of what an event calls."""
    config = json.loads(site.ask("GET", "/config")[1])
    return next(
        one["id"]
        for one in config["dependencies"]
        if name in [target[1] for target in one["targets"]]
    )


def give(site: Site, key: str, name: str, content: bytes, to: int | None = None) -> str:
    path = json.loads(site.upload(name, content)[1])[0]
    return act(site, "given", key, to=to, files=[{"name": name, "path": path}])


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_of_class_folders_becomes_classes(site: Site) -> None:
    files = {f"mine/{name}/{i}.png": PICTURE for name in ("cat", "d&amp;g") for i in range(3)}
    files |= {"mine/<b>/1.png": PICTURE, "loose.png": PICTURE}
    said = give(site, secrets.token_hex(16), "mine.zip", zipped(files))
    assert "6 pictures taken" in said
    assert "in no class folder" in said
    assert 'value="cat"' in said
    assert 'value="d&amp;amp;g"' in said
    assert "<b>" not in said


def test_bombs_and_nonsense_are_refused_and_soon(site: Site) -> None:
    key = secrets.token_hex(16)
    inner = zipped({"cat/1.png": PICTURE})
    bombs = {
        "larger than 30 MB": zipped({"cat/1.png": bytes(200 * 2**20)}),
        "more than 5,000 files": zipped({f"cat/{i}.png": b"" for i in range(5001)}),
        "zip inside a zip": zipped({"cat/1.zip": inner}),
        "not a picture": zipped({"cat/1.png": b"GIF89a"}),
        "too large": zipped({"cat/1.png": _huge()}),
        "needs a name": zipped({"../../..": PICTURE, ".../1.png": PICTURE, "../1.png": PICTURE}),
    }
    for words, bomb in bombs.items():
        began = time.monotonic()
        said = give(site, key, "bomb.zip", bomb)
        assert words in said, words
        assert "0 pictures taken" in said
        assert time.monotonic() - began < 20, words
    many = zipped({f"{i}/1.png": PICTURE for i in range(30)})
    said = give(site, secrets.token_hex(16), "many.zip", many)
    assert "20 pictures taken" in said
    assert "at most 20 classes" in said


def _huge() -> bytes:
    """A small file that claims to be a picture of 60,000 by 60,000 pixels."""
    content = bytearray(PICTURE)
    content[16:24] = (60_000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


def test_no_visitor_gets_at_anothers(site: Site) -> None:
    act(site, "opened", key=BOB)
    board = give(site, ALICE, "cats.zip", zipped({"cat/1.png": PICTURE}))
    (place,) = {part.split('"')[0] for part in board.split('src="')[1:]}
    assert place.startswith(f"lesson/{ALICE}/picture/")
    assert site.ask("GET", f"/{place}")[0] == 200
    assert site.ask("GET", f"/lesson/{ALICE}/pictures.zip")[0] == 200
    number, taken = map(int, place.split("/")[-2:])
    for key in (BOB, "c" * 32, ALICE[:-1], ALICE.upper(), "..", f"../{ALICE}", "*", "%2e%2e"):
        for name in (f"picture/{number}/{taken}", "pictures.zip", "model.zip", "model.onnx"):
            assert site.ask("GET", f"/lesson/{key}/{name}")[0] == 404, (key, name)
        assert site.ask("POST", f"/lesson/{key}/answer", PICTURE)[0] in (404, 405), key
    for name in ("", "picture/1", "picture/../1", "model", "x.zip", "picture/1/1/../../../x"):
        assert site.ask("GET", f"/lesson/{ALICE}/{name}")[0] == 404, name
    act(site, "removed", BOB, of=number, picture=taken)
    act(site, "dropped", BOB, of=number)
    act(site, "forget", BOB)
    assert site.ask("GET", f"/{place}")[0] == 200
    act(site, "removed", ALICE, of=number, picture=taken)
    assert site.ask("GET", f"/{place}")[0] == 404


def test_files_that_were_not_uploaded_are_not_taken(site: Site) -> None:
    key = secrets.token_hex(16)
    path: Any
    for path in (None, 5, {}, ["/etc/passwd"]):  # gradio itself refuses what is text
        said = act(site, "given", key, to=1, files=[{"name": "a.png", "path": path}])
        assert "0 pictures taken" in said
    for files in (None, "x", [None], {"a": 1}):
        assert "0 pictures taken" in act(site, "given", key, to=1, files=files)


def test_no_board_comes_after_a_newer_one(site: Site) -> None:
    add = _function(site, "added")
    for _ in range(10):  # one alone is often lucky
        key, session = secrets.token_hex(16), secrets.token_hex(8)
        act(site, "opened", key=key)
        body = {"data": [key], "fn_index": add, "session_hash": session}
        with ThreadPoolExecutor(18) as hands:  # of a visitor, who adds so many classes at once
            list(hands.map(lambda body: site.json("/gradio_api/queue/join", body), [body] * 18))
        said = site.ask("GET", f"/gradio_api/queue/data?session_hash={session}")[1]
        boards = [line for line in said.splitlines() if "process_completed" in line]
        assert [board.count("data-class") for board in boards] == list(range(3, 21))


def test_fifty_visitors_at_once_stay_apart(site: Site) -> None:
    keys = [secrets.token_hex(16) for _ in range(50)]

    def teach(number: int) -> str:
        files = {f"mine {number}/{i}.png": PICTURE for i in range(3)}
        for _ in range(100):  # a crowd is asked to come again, see the guard
            with suppress(AssertionError, KeyError):
                return give(site, keys[number], "mine.zip", zipped(files))
            time.sleep(0.5)
        raise AssertionError("never let in")

    with ThreadPoolExecutor(50) as crowd:
        said = list(crowd.map(teach, range(50)))
    for number, board in enumerate(said):
        assert f'value="mine {number}"' in board
        (done,) = (line for line in board.splitlines() if "process_completed" in line)
        assert done.count(f"lesson/{keys[number]}/picture/") == 3
        assert not any(key in board for key in keys if key != keys[number])
        with urlopen(f"{site.url}lesson/{keys[number]}/pictures.zip") as answer:
            content = io.BytesIO(answer.read())
        with zipfile.ZipFile(content) as archive:
            assert {Path(name).parent.name for name in archive.namelist()} == {f"mine {number}"}
    assert '"label": "ship"' in site.call({"path": json.loads(site.upload()[1])[0], **MARK})
