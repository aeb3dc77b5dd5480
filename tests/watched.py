"""The running page as an attacker sees it, and a watch over what it connects to."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from conftest import ROOT

SHIP = (ROOT / "examples" / "ship.png").read_bytes()
MARK = {"meta": {"_type": "gradio.FileData"}}  # by which gradio knows a file
WATCH = """
import os, sys
def _note(event, args):
    sent = event in ("socket.connect", "socket.sendto", "socket.sendmsg")
    asked = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    to = args[1] if sent else args[0] if asked else None  # None: along a connection that is there
    if to is not None:
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{event} {to!r}\\n")
sys.addaudithook(_note)
"""


class Site:
    """The running page, and what it connected to."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.connections = url, folder / "connections"
        self.uploads = folder / "uploads"
        self.address = urlsplit(url).netloc

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, list[tuple[str, str]]]:
        """Status, text and headers of an answer, whatever the path looks like."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=False)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace"), answer.getheaders()
        finally:
            connection.close()

    def json(self, path: str, content: Any) -> tuple[int, str]:
        kind = {"Content-Type": "application/json"}
        return self.ask("POST", path, json.dumps(content), kind)[:2]

    def call(self, *data: Any, name: str = "classify") -> str:
        """The whole answer of an endpoint of the API."""
        status, text = self.json(f"/gradio_api/call/{name}", {"data": data})
        if status != 200:
            return text
        return self.ask("GET", f"/gradio_api/call/{name}/{json.loads(text)['event_id']}")[1]

    def upload(self, name: str = "ship.png", content: bytes = SHIP, **headers: str) -> Any:
        where, files = f"{self.url}gradio_api/upload", {"files": (name, content, "image/png")}
        answer = httpx.post(where, files=files, headers=headers, timeout=60, trust_env=False)
        return answer.status_code, answer.text, answer.headers


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
