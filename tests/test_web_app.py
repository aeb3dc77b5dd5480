"""`python app.py`: its start, its refusals, its API, and what it never does."""

import base64
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Program
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from pages import served

SHIP, AIRPLANE = (str(ROOT / "examples" / f"{name}.png") for name in ("ship", "airplane"))


@pytest.fixture(scope="module")
def client(default_url: str) -> Iterator[Client]:
    asking = Client(default_url, verbose=False, analytics_enabled=False)
    yield asking
    asking.close()


def _refusal(ask: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as caught:
        ask()
    return str(caught.value)


def _call(url: str, data: Any, name: str = "classify") -> str:
    """What a program without any library gets."""
    request = urllib.request.Request(
        f"{url}gradio_api/call/{name}",
        json.dumps({"data": [data]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/{name}/{event}") as answer:
        return str(answer.read().decode())


def test_classify_gives_a_typed_answer(client: Client) -> None:
    found = client.predict(handle_file(SHIP), api_name="/classify")
    assert found["label"] == "ship"
    assert found["verdict"] in ("confident", "unsure", "none")
    assert found["sentence"]
    assert found["box"] == [0, 0, 256, 256]
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert found["probability"] == max(found["probabilities"].values())


def test_the_api_tells_its_types(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/classify", "/classify_batch"}
    assert "probabilities" in endpoints["/classify"]["returns"][0]["type"]["properties"]


def test_a_batch_answers_in_order_and_goes_on_after_a_bad_picture(client: Client) -> None:
    files = [handle_file(path) for path in (SHIP, str(ROOT / "LICENSE"), AIRPLANE)]
    ship, license, airplane = client.predict(files, api_name="/classify_batch")
    assert (ship["label"], airplane["label"]) == ("ship", "airplane")
    assert "not a picture" in license["error"]


def test_pictures_may_come_as_data_uris(default_url: str) -> None:
    content = base64.b64encode(Path(SHIP).read_bytes()).decode()
    answer = _call(
        default_url,
        [f"data:image/png;base64,{content}", "data:image/png;base64,!"],
        "classify_batch",
    )
    assert '"label": "ship"' in answer
    assert '"error"' in answer


def test_refusals_are_sentences_without_paths(client: Client) -> None:
    said = _refusal(lambda: client.predict(handle_file(ROOT / "LICENSE"), api_name="/classify"))
    assert "not a picture" in said
    assert "/" not in said
    files = [handle_file(SHIP)] * 65
    assert "1 to 64" in _refusal(lambda: client.predict(files, api_name="/classify_batch"))


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(ROOT / "config.json"), "http://127.0.0.1:9/a.png", "../../x"]
)
def test_no_path_or_address_of_a_request_is_read(
    default_url: str, path: str, meta: dict[str, Any]
) -> None:
    answer = _call(default_url, {"path": path, **meta})
    assert "event: error" in answer
    assert "label" not in answer
    assert "Traceback" not in answer


@pytest.mark.parametrize("path", ["config.json", "app.py", "model.safetensors"])
def test_the_project_cannot_be_downloaded(default_url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{default_url}gradio_api/file={ROOT / path}")
    with caught.value as answer:
        assert answer.code in (403, 404)


def test_the_page_refers_to_no_other_machine(default_url: str) -> None:
    for name in ("", "theme.css"):
        with urllib.request.urlopen(default_url + name) as answer:
            text = answer.read().decode()
        loaded = re.findall(
            r"""(?:src|href)=["'](https?://[^"']+)|url\(['"]?(https?://[^)]+)""", text
        )
        assert loaded == []


def test_a_missing_model_is_one_message(program: Program) -> None:
    done = program("app.py", "--model", "no-such-folder")
    assert done.returncode == 2
    assert re.fullmatch(r"error: There is no folder 'no-such-folder'.*\n", done.stderr)
    assert done.stdout == ""


def test_a_broken_model_is_one_message(program: Program, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(b"")
    done = program("app.py", "--model", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_message(program: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = program("app.py", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert re.fullmatch(r"error: Nothing can listen on 127.0.0.1 port \d+ .*\n", done.stderr)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_is_a_number(program: Program, port: str) -> None:
    done = program("app.py", f"--port={port}")
    assert done.returncode == 2
    assert "from 1 to 65535" in done.stderr


def test_help_needs_no_model(program: Program) -> None:
    done: subprocess.CompletedProcess[str] = program("app.py", "--help")
    assert done.returncode == 0
    for option in ("--model", "--host", "--port", "--dataset", "--allow-training", "--mcp"):
        assert option in done.stdout


MCP = find_spec("mcp") is not None


@pytest.mark.skipif(MCP, reason="the mcp package is installed")
def test_mcp_without_its_package_says_what_to_install(program: Program) -> None:
    done = program("app.py", "--mcp")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'gradio[mcp]'" in done.stderr


@pytest.mark.skipif(not MCP, reason="needs `pip install 'gradio[mcp]'`")
def test_mcp_offers_the_api_as_tools() -> None:
    with (
        served("--mcp") as url,
        urllib.request.urlopen(f"{url}gradio_api/mcp/schema") as answer,
    ):
        tools = {tool["name"]: tool for tool in json.load(answer)}
    assert set(tools) == {"classify", "classify_batch"}
    assert tools["classify"]["inputSchema"]["required"] == ["image"]
    assert "calibrated" in tools["classify"]["description"]
