"""Tests of model.hub.snapshot: models in folders and on a hub, and all that can go wrong there."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from tiny_model import NAMES, logits_of, make_network

from model.hub import from_pretrained, read_config, save_pretrained
from model.utils.errors import CifarnetError, HubError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_pretrained(make_network(), tmp_path / "run", label_names=NAMES)


def asserts_not_found(model: Any, *parts: str, **options: Any) -> None:
    with pytest.raises(CifarnetError) as caught:
        from_pretrained(model, **options)
    for part in parts:
        assert part in str(caught.value)


def test_missing_files(saved: Path, tmp_path: Path) -> None:
    (saved / "model.safetensors").unlink()
    asserts_not_found(saved, str(saved), "holds no model.safetensors")
    read_config(saved)
    (saved / "config.json").unlink()
    asserts_not_found(saved, "holds no config.json;")
    (saved / "checkpoint.safetensors").touch()
    asserts_not_found(saved, "holds no config.json yet", f"--resume {saved}")
    asserts_not_found(tmp_path / "gone", "There is no folder", "owner/name")
    asserts_not_found(str(tmp_path / "gone"), "There is no folder", "owner/name")


@pytest.mark.parametrize("name", ["gone", "./runs/gone", "../gone", "~/gone", "a/b/c", "", "a b/c"])
def test_names_that_can_only_be_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    asserts_not_found(name or "/nowhere", "There is no folder", "owner/name")


def test_weights_without_safetensors_are_not_looked_at(saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    asserts_not_found(saved, "holds no model.safetensors")


def test_a_file_or_a_revision_in_the_wrong_place(saved: Path) -> None:
    asserts_not_found(saved / "config.json", "is a file", "name the folder")
    asserts_not_found(saved, "revision='main'", "leave it out", revision="main")


COMMIT = "c" * 40


class FakeHub(BaseHTTPRequestHandler):
    """Serves one model in the hub's protocol; owner and name decide what goes wrong."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        owner, name, _, revision, file = self.path.lstrip("/").split("/")
        type(self).asked.append(f"{self.command} {file} {revision}")
        path = self.folder / file
        if owner == "nobody":
            self.refuse(404, "RepoNotFound")
        elif owner == "private":
            self.refuse(401, "RepoNotFound")
        elif owner == "gated":
            self.refuse(403, "GatedRepo")
        elif owner == "broken":
            self.refuse(500, "")
        elif revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif not path.is_file() or (name == "empty" and file == "model.safetensors"):
            self.refuse(404, "EntryNotFound")
        else:
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data[: len(data) // 2] if owner == "cut" else data)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def fake_hub(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[FakeHub]]:
    handler = type("Handler", (FakeHub,), {"folder": saved, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.chdir(tmp_path)
    yield handler
    server.shutdown()
    server.server_close()


def test_download_from_the_hub(fake_hub: type[FakeHub], saved: Path) -> None:
    network = from_pretrained("some/model")
    assert torch.equal(logits_of(network), logits_of(from_pretrained(saved)))
    fetched = {line.split()[1] for line in fake_hub.asked}
    assert fetched == {"config.json", "model.safetensors"}
    # The second file is asked for by the commit of the first.
    assert {line.split()[2] for line in fake_hub.asked if "model" in line} == {COMMIT}
    assert read_config("some/model", revision=COMMIT)["num_classes"] == 5


def test_downloaded_models_load_offline(
    fake_hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    from_pretrained("some/model")
    fake_hub.asked.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    from_pretrained("some/model")
    assert fake_hub.asked == []
    asserts_not_found("other/model", "HF_HUB_OFFLINE", "'other/model'", "local folder")


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("nobody/model", ["There is no folder 'nobody/model'", "no model of that name"]),
        ("private/model", ["no model of that name", "hf auth login"]),
        ("gated/model", ["accept its terms", "hf auth login"]),
        ("some/empty", ["some/empty", "holds no model.safetensors"]),
        ("bad--/..name", ["no valid hub id"]),
    ],
)
def test_refusals_of_the_hub(model: str, parts: list[str], fake_hub: type[FakeHub]) -> None:
    with pytest.raises(HubError):
        from_pretrained(model)
    asserts_not_found(model, *parts)


def test_unknown_revision(fake_hub: type[FakeHub]) -> None:
    asserts_not_found("some/model", "has no revision 'v9'", revision="v9")


def test_broken_server(fake_hub: type[FakeHub]) -> None:
    with pytest.raises(HubError):
        from_pretrained("broken/model")


def test_broken_connection(fake_hub: type[FakeHub]) -> None:
    with pytest.raises(HubError, match="connection broke"):
        from_pretrained("cut/model")


def test_unreachable_hub(fake_hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch) -> None:
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(HubError, match="cannot be reached"):
        from_pretrained("some/model")


def test_folders_go_before_hub_ids(fake_hub: type[FakeHub], saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "some" / "model")
    from_pretrained("some/model")
    assert fake_hub.asked == []
