"""What a hub, or the way to it, can do wrong: a HubError with names, no half things."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from hub_fixtures import ID, same, train_anew
from hub_state import READER, WRITER, Fault, Hub
from tiny_model import make_network

from model import from_pretrained, push_to_hub
from model.hub import push, save_pretrained, snapshot
from model.hub.pull import pull
from model.utils.errors import ConfigError, HubError, WeightsError

LOGIN_PAGE = b"<html>Please log in</html>"


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("token", "fault", "said"),
    [
        ("", None, "401"),
        ("hf_WrongSecret", None, "401"),
        (READER, None, "403"),
        (WRITER, Fault("POST .*/commit/", status=500), "500"),
        (WRITER, Fault("POST .*/commit/", status=400), "400|[Bb]ad request"),
        (WRITER, Fault("POST .*/commit/", status=412), "412"),
        (WRITER, Fault("POST /api/validate-yaml", status=400), "400|[Bb]ad request|metadata"),
        (WRITER, Fault("PUT /lfs/", cut=1000), "connection"),
        (WRITER, Fault("GET .*/tree/", change=lambda data: LOGIN_PAGE), "JSON|value"),
        ("hf_Secret\u00e9x", None, "token"),
        ("hf_Secret\x01x", None, "token"),
    ],
)
def test_a_refused_push_leaves_nothing_half_done_and_tells_no_token(
    token: str,
    fault: Fault | None,
    said: str,
    hub: Hub,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub repeats the token in its answers, which must not come through."""
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tiny / "none"))
    hub.faults = [fault] if fault else []
    with pytest.raises(HubError, match=said) as caught:
        push_to_hub(tiny, ID)
    assert "Secret" not in str(caught.value)
    for repo in hub.repos.values():
        assert set(repo.files) == {".gitattributes"}


@pytest.mark.parametrize("address", ["localhost:1234", "http://localhost:abc", "ftp://x", ""])
def test_addresses_that_are_none(
    address: str, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    for ask in (lambda: push_to_hub(tiny, ID), lambda: from_pretrained(ID)):
        with pytest.raises(HubError, match=f"HF_ENDPOINT={address}"):
            ask()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("GET .*safetensors", change=flipped), "model.safetensors"),
        (Fault("GET .*config", change=lambda data: data.replace(b"ant", b"fly")), "config.json"),
        (Fault("GET .*safetensors", cut=500), "model.safetensors"),
        (Fault("HEAD .*config", status=503), "503"),
        (Fault("GET .*safetensors", status=503), "503"),
        (Fault("HEAD .*config", status=403, code="GatedRepo"), "gated"),
        (Fault("HEAD .*config", status=401, code="RepoNotFound"), "hf auth login"),
        (Fault("HEAD .*safetensors", status=404, code="EntryNotFound"), "model.safetensors"),
    ],
)
def test_what_cannot_be_loaded_is_not_kept(fault: Fault, said: str, hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [fault]
    with pytest.raises(HubError, match=said) as caught:
        from_pretrained(ID)
    assert ID in str(caught.value)
    assert WRITER not in str(caught.value)
    hub.faults = []
    assert same(from_pretrained(ID), from_pretrained(tiny))


@pytest.mark.parametrize(
    ("repo_id", "revision", "said"),
    [("you/gone", None, "you/gone"), (ID, "v9", "v9"), ("bad--/..name", None, "bad--/..name")],
)
def test_what_is_not_there(
    repo_id: str, revision: str | None, said: str, hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    push_to_hub(tiny, ID)
    with pytest.raises(HubError, match=said):
        from_pretrained(repo_id, revision=revision)
    with pytest.raises(HubError, match=said):
        pull(repo_id, tmp_path / "copy", revision=revision)
    assert not (tmp_path / "copy").exists()


def test_no_way_to_the_hub(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks: list[Callable[[], Any]] = [
        lambda: push_to_hub(tiny, ID),
        lambda: from_pretrained(ID),
        lambda: pull(ID, tmp_path / "copy"),
    ]
    constants = huggingface_hub.constants
    for name, value in (("ENDPOINT", "http://127.0.0.1:9"), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(constants, name, value)
        for ask in asks:
            with pytest.raises(HubError, match=f"HF_{name.removeprefix('HF_')}"):
                ask()


def test_a_full_disk_in_the_cache(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> str:
        raise OSError(28, "No space left on device")

    push_to_hub(tiny, ID)
    monkeypatch.setattr(snapshot, "hf_hub_download", full)
    with pytest.raises(HubError, match="HF_HOME") as caught:
        from_pretrained(ID)
    assert str(huggingface_hub.constants.HF_HUB_CACHE) in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_too_large_is_not_fetched(
    name: str, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(tiny, ID)
    monkeypatch.setattr(snapshot, "MAX_BYTES", 2**20)
    hub.repos["model", ID].files[name] = b"\0" * (2**20 + 1)
    with pytest.raises(HubError, match=f"{name} of you/tiny.* 1,048,577 bytes"):
        from_pretrained(ID)
    assert not [line for line in hub.asked if line.startswith("GET") and line.endswith(name)]


def test_a_strangers_architecture_is_refused_before_its_weights_come(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    content = json.loads((tiny / "config.json").read_text()) | {"architecture": "resnet81"}
    files = hub.repos["model", ID].files | {"config.json": json.dumps(content).encode()}
    hub.add("some/stranger", files)
    with pytest.raises(ConfigError, match="resnet81"):
        from_pretrained("some/stranger")
    assert any("some/stranger/resolve/main/config.json" in line for line in hub.asked)
    assert not any("safetensors" in line for line in hub.asked if "some/stranger" in line)


def test_damaged_weights_are_not_sent(hub: Hub, tiny: Path) -> None:
    weights = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        push_to_hub(tiny, ID)
    assert hub.asked == []


def test_results_of_other_weights_are_not_published(hub: Hub, tiny: Path) -> None:
    old = (tiny / "results.json").read_text()
    save_pretrained(make_network(), tiny)  # of another kind
    others = [old]
    train_anew(tiny, seed=1)  # of the same kind
    others += ["{}", "[]", '{"model": 3}', json.dumps(json.loads(old) | {"test": {}})]
    for other in others:
        (tiny / "results.json").write_text(other)
        with pytest.raises(ConfigError, match=r"results\.json"):
            push_to_hub(tiny, ID)
    assert hub.asked == []


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/commit/", lost=True, times=1)]
    with pytest.raises(HubError, match=ID):
        push_to_hub(tiny, ID, message="hello")
    assert not push_to_hub(tiny, ID, message="hello").new
    assert hub.repos["model", ID].messages == ["initial commit", "hello"]


def test_a_rival_push_is_not_mixed_with_ours(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else sends after we looked at what is there."""
    push_to_hub(tiny, ID)
    repo = hub.repos["model", ID]
    theirs = repo.files | {"model.safetensors": b"theirs", "notes.txt": b"theirs"}
    real = push.HfApi.create_commit

    def late(api: Any, *args: Any, **options: Any) -> Any:
        repo.commit(theirs, "theirs")
        return real(api, *args, **options)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(push.HfApi, "create_commit", late)
        with pytest.raises(HubError, match="412"):
            push_to_hub(tiny, ID, revision="v1")
    assert (repo.files, repo.tags) == (theirs, {})
    push_to_hub(tiny, ID, revision="v1")
    assert repo.files["model.safetensors"] == (tiny / "model.safetensors").read_bytes()
    assert repo.files["notes.txt"] == b"theirs"
    assert repo.tags == {"v1": repo.refs["main"]}


def test_a_tag_that_cannot_be_set(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/tag/", status=500)]
    with pytest.raises(HubError, match=r"in commit [0-9a-f]{40}, but not the tag 'v1'"):
        push_to_hub(tiny, ID, revision="v1")
    hub.faults = []
    assert not push_to_hub(tiny, ID, revision="v1").new
    assert list(hub.repos["model", ID].tags) == ["v1"]


def test_a_cache_that_cannot_be_written_does_not_spoil_a_push(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert push_to_hub(tiny, ID).new
