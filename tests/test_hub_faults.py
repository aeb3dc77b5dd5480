"""What a hub, or the way to it, can do wrong: one sentence, and no half things."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from hub_fixtures import ID, ROOT, same, train_anew
from hub_state import READER, WRITER, Fault, Hub
from huggingface_hub import file_download
from tiny_model import make_network

from model import from_pretrained, push_to_hub
from model.hub import hub_errors, save_pretrained, sending
from model.hub.pull import pull
from model.utils.errors import CifarnetError, ConfigError, HubError, WeightsError

REFUSALS: list[tuple[str, list[Fault], str, str]] = [
    ("wrong token", [], "hf_Wrong", r"does not accept the token.*hf auth login"),
    ("no write access", [], READER, r"may not write to you/tiny: use one with write access"),
    ("broken", [Fault("POST .*/commit/", status=500)], WRITER, r"answered 500.*Try again later"),
    ("cut", [Fault("PUT /lfs/", cut=1000)], WRITER, "connection to the hub broke"),
]


@pytest.mark.parametrize(("case", "faults", "token", "said"), REFUSALS, ids=lambda v: str(v)[:9])
def test_refusals_leave_nothing_half_done(
    case: str,
    faults: list[Fault],
    token: str,
    said: str,
    hub: Hub,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.faults = faults
    with pytest.raises(HubError, match=said) as caught:
        push_to_hub(tiny, ID)
    assert token not in str(caught.value)
    for repo in hub.repos.values():
        assert set(repo.files) == {".gitattributes"}


def test_no_token(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub_errors, "get_token", lambda: None)
    with pytest.raises(HubError, match="run `hf auth login`, or set HF_TOKEN"):
        push_to_hub(tiny, ID)
    assert hub.asked == []


@pytest.mark.parametrize("line", ["POST .*/commit/", "PUT /lfs/", "POST /api/repos/create"])
def test_overload_is_waited_for(line: str, hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault(line, status=503, times=2)]
    assert push_to_hub(tiny, ID).new
    assert "model.safetensors" in hub.repos["model", ID].files


@pytest.mark.parametrize("name", ["no slash", "a/b/c", "you/ti ny", "-x/y"])
def test_names_that_are_no_ids(name: str, hub: Hub, tiny: Path) -> None:
    with pytest.raises(HubError, match="no valid hub id"):
        push_to_hub(tiny, name)


def test_damaged_weights_are_not_sent(hub: Hub, tiny: Path) -> None:
    weights = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(WeightsError, match="complete safetensors"):
        push_to_hub(tiny, ID)
    assert hub.asked == []


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("GET .*safetensors", change=flipped), "not the file that the hub announced"),
        (
            Fault("GET .*safetensors", cut=500),
            r"connection broke while model\.safetensors .* try again",
        ),
    ],
    ids=["tampered", "cut"],
)
def test_damage_on_the_way_is_not_kept(fault: Fault, said: str, hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [fault]
    with pytest.raises(CifarnetError, match=said):
        from_pretrained(ID)
    hub.faults = []
    assert same(from_pretrained(ID), from_pretrained(tiny))


def test_overload_of_a_download_is_waited_for(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [
        Fault("HEAD .*config", status=503, times=2),
        Fault("GET .*safetensors", status=503, times=2),
    ]
    assert same(from_pretrained(ID), from_pretrained(tiny))


@pytest.mark.parametrize("line", ["HEAD .*config", "GET .*safetensors"])
def test_a_hub_that_stays_overloaded(line: str, hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [Fault(line, status=503)]
    with pytest.raises(HubError, match=r"answered 503 for .* of you/tiny.*try again later"):
        from_pretrained(ID)


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/commit/", lost=True, times=1)]
    assert push_to_hub(tiny, ID).new
    assert hub.repos["model", ID].messages == [
        "initial commit",
        "Send a model trained with cifarnet",
    ]


def test_a_hub_without_xet(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    push_to_hub(tiny, ID)
    assert "model.safetensors" in hub.repos["model", ID].files


def test_results_of_an_earlier_model_go(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    hub.repos["model", ID].files["notes.txt"] = b"of the owner"
    bare = save_pretrained(make_network(), tmp_path / "bare")
    push_to_hub(bare, ID)
    files = hub.repos["model", ID].files
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "notes.txt",
    }
    assert b"nothing is claimed" in files["README.md"]


def test_a_changed_config_is_not_used(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [Fault("GET .*config", change=lambda data: data.replace(b"ant", b"fly"))]
    with pytest.raises(HubError, match=r"config\.json of you/tiny is not the file .* announced"):
        from_pretrained(ID)


def test_a_strangers_architecture_is_refused_before_its_weights_come(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    content = json.loads((tiny / "config.json").read_text()) | {"architecture": "resnet18"}
    files = hub.repos["model", ID].files | {"config.json": json.dumps(content).encode()}
    hub.add("some/stranger", files)
    with pytest.raises(ConfigError, match="resnet18"):
        from_pretrained("some/stranger")
    assert any("some/stranger/resolve/main/config.json" in line for line in hub.asked)
    assert not any("safetensors" in line for line in hub.asked if "some/stranger" in line)


def test_a_tag_that_cannot_be_set(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/tag/", status=500)]
    with pytest.raises(
        HubError, match=r"holds the files, in commit [0-9a-f]{40}, but not the tag 'v1'"
    ):
        push_to_hub(tiny, ID, revision="v1")
    hub.faults = []
    assert not push_to_hub(tiny, ID, revision="v1").new
    assert list(hub.repos["model", ID].tags) == ["v1"]


def test_what_was_pushed_from_here_is_what_is_loaded_next(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    from_pretrained(ID)
    train_anew(tiny, seed=1)
    push_to_hub(tiny, ID)
    assert same(from_pretrained(ID), from_pretrained(tiny))


@pytest.mark.parametrize(
    ("repo_id", "revision", "said"),
    [("you/gone", None, "no model of that name"), (ID, "v9", "has no revision 'v9'")],
)
def test_pulling_what_is_not_there(
    repo_id: str, revision: str | None, said: str, hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    push_to_hub(tiny, ID)
    with pytest.raises(HubError, match=said):
        pull(repo_id, tmp_path / "copy", revision=revision)
    assert not (tmp_path / "copy").exists()
    assert not list(tmp_path.glob(".pull-*"))


LITTLE = """
import resource, sys
from model import from_pretrained
from model.utils.errors import exit_on_error
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
with exit_on_error():
    from_pretrained("you/tiny")
"""


def test_a_full_disk_in_the_cache(
    hub: Hub, tiny: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    """The system refuses to write more than 5 kB to a file, as a full disk would."""
    push_to_hub(tiny, ID)
    assert len(hub.repos["model", ID].files["model.safetensors"]) > 5_000
    line = [sys.executable, "-c", LITTLE]
    done = subprocess.run(line, env=outside, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "cannot be kept in the download cache" in done.stderr
    assert "set HF_HOME to a folder on another disk" in done.stderr
    assert "Traceback" not in done.stderr
    whole = [sys.executable, "-c", LITTLE.replace("5_000", "resource.RLIM_INFINITY")]
    done = subprocess.run(whole, env=outside, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_hub_that_keeps_large_files_by_other_names(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache shares what comes from a Xet store, under the store's hash."""
    push_to_hub(tiny, ID)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    real, weights = file_download.get_hf_file_metadata, (tiny / "model.safetensors").read_bytes()

    def announced(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        store = file_download.XetFileData(file_hash="cd" * 32, refresh_route="nowhere")
        return dataclasses.replace(found, xet_file_data=store if (found.size or 0) > 5000 else None)

    def carried(incomplete_path: Path, **options: Any) -> None:
        Path(incomplete_path).write_bytes(weights)

    monkeypatch.setattr(file_download, "get_hf_file_metadata", announced)
    monkeypatch.setattr(file_download, "xet_get", carried)
    for _ in range(2):
        assert same(from_pretrained(ID), from_pretrained(tiny))


def test_a_rival_push_is_not_mixed_with_ours(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else commits after we looked at what is there."""
    push_to_hub(tiny, ID)
    repo = hub.repos["model", ID]
    theirs = repo.files | {"model.safetensors": b"theirs", "notes.txt": b"theirs"}
    (tiny / "figures" / "more.png").write_bytes(b"ours")
    real, moved = sending.HfApi.create_commit, list[str]()

    def late(api: Any, *args: Any, **options: Any) -> Any:
        if not moved:
            moved.append(repo.commit(theirs, "theirs"))
        return real(api, *args, **options)

    monkeypatch.setattr(sending.HfApi, "create_commit", late)
    push_to_hub(tiny, ID, revision="v1")
    assert repo.files["model.safetensors"] == (tiny / "model.safetensors").read_bytes()
    assert repo.files["notes.txt"] == b"theirs"
    assert repo.tags == {"v1": repo.refs["main"]}


def test_a_tag_that_another_set_meanwhile(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sending.HfApi.create_commit

    def late(api: Any, *args: Any, **options: Any) -> Any:
        repo = hub.repos["model", ID]
        repo.tags["v1"] = repo.refs["main"]
        return real(api, *args, **options)

    monkeypatch.setattr(sending.HfApi, "create_commit", late)
    with pytest.raises(HubError, match=r"not the tag 'v1' on it.*choose another --revision"):
        push_to_hub(tiny, ID, revision="v1")
