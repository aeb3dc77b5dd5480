"""What is refused before it does harm: odd names and sizes, wrong addresses, tokens, results."""

from pathlib import Path

import huggingface_hub
import pytest
from hub_fixtures import ID, same, train_anew
from hub_state import READER, WRITER, Fault, Hub
from test_hub_faults import flipped
from tiny_model import make_network

from model import from_pretrained, push_to_hub
from model.hub import save_pretrained, sending
from model.hub.pull import pull
from model.utils.errors import ConfigError, HubError


def test_results_of_other_weights_are_not_published(hub: Hub, tiny: Path) -> None:
    old = (tiny / "results.json").read_text()
    save_pretrained(make_network(), tiny)
    with pytest.raises(ConfigError, match=r"results\.json .* tells of other weights"):
        push_to_hub(tiny, ID)
    train_anew(tiny, seed=1)
    (tiny / "results.json").write_text(old)  # of the same kind of network
    with pytest.raises(ConfigError, match=r"results\.json .* tells of other weights"):
        push_to_hub(tiny, ID)
    for broken in ("{}", "[]", '{"model": 3}'):
        (tiny / "results.json").write_text(broken)
        with pytest.raises(ConfigError, match=r"results\.json"):
            push_to_hub(tiny, ID)
    assert hub.asked == []


def test_a_pull_does_not_take_old_things_for_new_ones(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    pull(ID, tmp_path / "first")
    hub.faults = [Fault(".", status=503)]
    with pytest.raises(HubError, match="answered 503"):
        pull(ID, tmp_path / "second")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["README.md", "results.json", "reliability.png"])
def test_everything_pulled_is_checked(name: str, hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [Fault(f"GET .*resolve.*{name}", change=flipped)]
    with pytest.raises(HubError, match=f"{name} of you/tiny is not the file .* announced"):
        pull(ID, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_names_on_a_hub_that_lead_elsewhere(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    odd = ["figures/../../../evil.png", "figures/a/b.png", "figures/b.png/c.png", "evil.py"]
    hub.repos["model", ID].files.update(dict.fromkeys(odd, b"x"))
    hub.repos["model", ID].files["figures/confident_mistakes.png"] = b"x"
    pull(ID, tmp_path / "copy")
    came = {p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*.*")}
    kept = {"README.md", "config.json", "model.safetensors", "results.json"}
    assert came == kept | {"figures/reliability.png"}
    assert push_to_hub(tmp_path / "copy", "you/again").new


def test_pulling_into_the_empty_folder_one_is_in(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(tiny, ID)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    pull(ID, ".")
    assert same(from_pretrained("."), from_pretrained(tiny))


@pytest.mark.parametrize(("name", "size"), [("config.json", 2**20), ("model.safetensors", 2**23)])
def test_what_is_too_large_is_not_fetched(name: str, size: int, hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.repos["model", ID].files[name] = b"\0" * (size + 1)
    with pytest.raises(HubError, match=f"{name} of you/tiny has {size + 1:,} bytes, at most"):
        from_pretrained(ID)
    assert not [line for line in hub.asked if line.startswith("GET") and line.endswith(name)]


@pytest.mark.parametrize("address", ["localhost:1234", "http://localhost:abc", "ftp://x", ""])
def test_addresses_that_are_none(
    address: str, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    for ask in (lambda: push_to_hub(tiny, ID), lambda: from_pretrained(ID)):
        with pytest.raises(HubError, match="is no address of a hub"):
            ask()


@pytest.mark.parametrize("token", ["hf_Secret\u00e9x", "hf_Secret\x01x"])
def test_tokens_that_are_none(
    token: str, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    for ask in (lambda: push_to_hub(tiny, ID), lambda: from_pretrained(ID)):
        with pytest.raises(HubError, match="characters that no token has") as caught:
            ask()
        assert "Secret" not in str(caught.value)


def test_a_wrong_token_while_loading(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_to_hub(tiny, ID)
    monkeypatch.setenv("HF_TOKEN", "hf_Wrong")
    with pytest.raises(HubError, match=r"does not accept the token .* wrong or has expired"):
        from_pretrained(ID)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("POST .*/commit/", 400, "did not accept what was sent"),
        ("POST .*/commit/", 412, "changed by someone else meanwhile"),
        ("POST /api/validate-yaml", 400, "did not accept what was sent"),
    ],
)
def test_what_a_hub_refuses(line: str, status: int, said: str, hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault(line, status=status)]
    with pytest.raises(HubError, match=said) as caught:
        push_to_hub(tiny, ID)
    assert WRITER not in str(caught.value)  # which the hub repeats in its answer
    assert set(hub.repos["model", ID].files) == {".gitattributes"}


def test_an_answer_that_is_no_hubs(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [Fault("GET .*/tree/", change=lambda data: b"<html>Please log in</html>")]
    with pytest.raises(HubError, match="did not accept what was sent"):
        push_to_hub(tiny, ID)


def test_a_token_that_only_reads_is_told_before_training(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.check_token(ID)
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(HubError, match="may not write to you/tiny"):
        sending.check_token(ID)


def test_a_cache_that_cannot_be_written_does_not_spoil_a_push(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert push_to_hub(tiny, ID).new


def test_no_way_to_the_hub(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(tiny, ID)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"The hub cannot be reached\."):
        push_to_hub(tiny, ID)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"HF_HUB_OFFLINE .* unset it to send or fetch"):
        pull(ID, tmp_path / "copy")
