"""`python app.py`: its start, its refusals, its API, and what it never does."""

import base64
import http.client
import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from pages import free_port, served
from watched import Site

import app
from model.utils.errors import ConfigError

SHIP, AIRPLANE = (str(ROOT / "examples" / f"{name}.png") for name in ("ship", "airplane"))
MCP = find_spec("mcp") is not None


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


IPV6 = _has_ipv6()


@pytest.fixture(scope="module")
def client(default_url: str) -> Iterator[Client]:
    asking = Client(default_url, verbose=False, analytics_enabled=False)
    yield asking
    asking.close()


def test_classify_gives_a_typed_answer(client: Client) -> None:
    found = client.predict(handle_file(SHIP), api_name="/classify")
    assert found["label"] == "ship"
    assert found["verdict"] in ("confident", "unsure", "none")
    assert found["sentence"]
    assert found["box"] == [0, 0, 256, 256]
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert found["probability"] == max(found["probabilities"].values())
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/classify", "/classify_batch"}
    assert "probabilities" in endpoints["/classify"]["returns"][0]["type"]["properties"]


def test_a_batch_answers_in_order_and_goes_on_after_a_bad_picture(client: Client) -> None:
    files = [handle_file(path) for path in (SHIP, str(ROOT / "LICENSE"), AIRPLANE)]
    ship, license, airplane = client.predict(files, api_name="/classify_batch")
    assert (ship["label"], airplane["label"]) == ("ship", "airplane")
    assert set(license) == {"error"}


def test_pictures_may_come_as_data_uris(default_url: str, tmp_path: Path) -> None:
    """From a program without any library."""
    content = base64.b64encode(Path(SHIP).read_bytes()).decode()
    uris = [f"data:image/png;base64,{content}", "data:image/png;base64,!"]
    answer = Site(default_url, tmp_path).call(uris, name="classify_batch")
    assert '"label": "ship"' in answer
    assert '"error"' in answer


def test_refusals_are_sentences_without_paths(client: Client) -> None:
    for files, name in ((handle_file(ROOT / "LICENSE"), ""), ([handle_file(SHIP)] * 65, "_batch")):
        with pytest.raises(AppError) as caught:
            client.predict(files, api_name=f"/classify{name}")
        assert str(caught.value).endswith(".")
        assert "/" not in str(caught.value)


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message with which the program ends."""
    with pytest.raises(SystemExit) as caught:
        app.main(list(arguments))
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_what_cannot_be_used_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option, value in (
            ("--model", "no-such-folder"),
            ("--model", str(tmp_path)),
            ("--dataset", str(tmp_path)),
            ("--port", port),
        ):
            said = _refused(capsys, option, value)
            assert said.startswith("error: ")
            assert said.count("\n") == 1
            assert value in said


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
@pytest.mark.parametrize("way", ["--port", "GRADIO_SERVER_PORT"])
def test_a_port_is_a_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, port: str, way: str
) -> None:
    if way == "--port":
        said = _refused(capsys, f"--port={port}")
    else:
        monkeypatch.setenv(way, port)
        said = _refused(capsys)
    assert f"'{port}'" in said
    assert way in said


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "localhost"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("::", "localhost"),
    ],
)
def test_it_listens_where_it_is_told_and_says_where(
    host: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ":" in host and not IPV6:
        pytest.skip("no IPv6 here")
    port = free_port()
    monkeypatch.setenv("GRADIO_SERVER_PORT", port)
    options = app.parser().parse_args(["--host", host])
    with app._listen(options.host, options.port) as listener:
        assert app.address_of(listener) == f"http://{shown}:{port}/"
        for way in {"::1", "127.0.0.1"} if host == "::" else {host.strip("[]")}:
            socket.create_connection((way, int(port)), timeout=10).close()
        with pytest.raises(ConfigError, match=port):
            app._listen(options.host, options.port)


def test_the_first_free_port_is_taken_where_small_messages_wait_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(app, "PORTS", range(port, min(port + 50, 65536)))
        with app._listen("127.0.0.1", None) as listener:
            assert listener.getsockname()[1] > port
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_proxies_named_by_the_environment_are_not_asked() -> None:
    nobody = {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    host = "::1" if IPV6 else "127.0.0.1"
    with (
        served("--host", host, env={**nobody, "no_proxy": ""}) as url,
        closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as asked,
    ):
        asked.request("GET", "/healthz")
        assert asked.getresponse().status == 200


@pytest.mark.skipif(MCP, reason="the mcp package is installed")
def test_mcp_without_its_package_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert "pip install 'gradio[mcp]'" in _refused(capsys, "--mcp")


@pytest.mark.slow
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
