"""Sending a model to a hub on loopback, and fetching it again: all of it or nothing, no secrets."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_server
import huggingface_hub
import pytest
import timm
import torch
from hub_layout import layout
from hub_server import READER, WRITER, Fault, Hub

import model
from model import from_pretrained, hub_errors, push_to_hub
from model.errors import CifarnetError, HubError, WeightsError
from model.hub import __main__ as program
from model.hub import push, save_pretrained
from model.hub.pull import pull

ROOT = Path(model.__file__).resolve().parent.parent
NAMES = ["ant", "bee", "cow"]
ID = "you/tiny"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that answers, and a token that may write."""
    with hub_server.running() as running:
        constants = huggingface_hub.constants
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        for name, value in (
            ("HF_HUB_OFFLINE", False),
            ("ENDPOINT", running.endpoint),
            ("HUGGINGFACE_CO_URL_TEMPLATE", template),
            ("HF_HUB_CACHE", str(tmp_path / "cache")),
            ("HF_HUB_DISABLE_XET", True),
        ):
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
        monkeypatch.setattr(hub_errors, "FIRST_WAIT", 0.0)
        yield running


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder as a run leaves it."""
    torch.manual_seed(0)
    network = timm.create_model("cifarnet_nano", num_classes=3, widths=(8, 8, 8), depths=(1, 1, 1))
    folder = save_pretrained(network, tmp_path / "run", label_names=NAMES)
    (folder / "results.json").write_text((ROOT / "results.json").read_text())
    (folder / "figures").mkdir()
    for name in ("reliability", "confident_mistakes"):
        (folder / "figures" / f"{name}.png").write_bytes(b"\x89PNG " + name.encode())
    for name in ("checkpoint.safetensors", "log.jsonl"):
        (folder / name).write_bytes(b"not to be sent")
    return folder


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def test_one_commit_holds_everything(hub: Hub, trained: Path) -> None:
    pushed = push_to_hub(trained, ID, message="hello")
    repo = hub.repos["model", ID]
    assert set(repo.files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "results.json",
        "figures/reliability.png",
    }
    assert repo.messages == ["initial commit", "hello"]
    assert pushed.commit == repo.refs["main"]
    assert pushed.new
    for name in ("model.safetensors", "config.json", "results.json"):
        assert repo.files[name] == (trained / name).read_bytes()
    assert b"figures/reliability.png" in repo.files["README.md"]
    assert b"confident_mistakes" not in repo.files["README.md"]


def test_the_same_again_makes_no_commit(hub: Hub, trained: Path) -> None:
    first = push_to_hub(trained, ID)
    again = push_to_hub(trained, ID)
    assert not again.new
    assert again.commit == first.commit
    assert len(hub.repos["model", ID].commits) == 2
    (trained / "figures" / "reliability.png").unlink()  # and what is gone, is gone there
    assert push_to_hub(trained, ID).new
    assert "figures/reliability.png" not in hub.repos["model", ID].files


def test_tags(hub: Hub, trained: Path) -> None:
    first = push_to_hub(trained, ID, revision="v1")
    repo = hub.repos["model", ID]
    assert repo.tags == {"v1": first.commit}
    assert not push_to_hub(trained, ID, revision="v1").new  # the same again
    network = from_pretrained(trained)
    save_pretrained(timm.create_model("cifarnet_nano", num_classes=3), trained, label_names=NAMES)
    with pytest.raises(HubError, match=r"tag 'v1' already.*nothing was sent"):
        push_to_hub(trained, ID, revision="v1")
    assert len(repo.commits) == 2
    push_to_hub(trained, ID, revision="v2")
    assert same(from_pretrained(ID, revision="v1"), network)
    assert same(from_pretrained(ID, revision="v2"), from_pretrained(trained))
    assert same(from_pretrained(ID, revision=first.commit), network)
    assert same(timm.create_model(f"hf-hub:{ID}@v1", pretrained=True), network)


def test_a_network_can_be_sent_as_it_is(hub: Hub, trained: Path) -> None:
    network = from_pretrained(trained)
    push_to_hub(network, ID, private=True)
    assert hub.repos["model", ID].private
    assert same(from_pretrained(ID), network)


def test_private_weights_do_not_go_where_all_can_see_them(hub: Hub, trained: Path) -> None:
    hub.add(ID, {"hello.txt": b"hello"})
    with pytest.raises(HubError, match="exists and is public; nothing was sent"):
        push_to_hub(trained, ID, private=True)
    assert set(hub.repos["model", ID].files) == {"hello.txt"}


def test_a_second_load_asks_nobody(hub: Hub, trained: Path) -> None:
    push_to_hub(trained, ID)
    first = from_pretrained(ID)
    hub.asked.clear()
    assert same(from_pretrained(ID), first)
    assert hub.asked == []


def test_only_safetensors_and_json_are_fetched(hub: Hub, trained: Path) -> None:
    push_to_hub(trained, ID)
    repo = hub.repos["model", ID]
    repo.files["pytorch_model.bin"] = b"a pickle"
    hub.asked.clear()
    from_pretrained(ID)
    assert {line.rsplit("/", 1)[-1] for line in hub.asked} == {"config.json", "model.safetensors"}


def test_dry_run(hub: Hub, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["push", str(trained), ID, "--dry-run"])
    told = capsys.readouterr().out
    size = (trained / "model.safetensors").stat().st_size
    assert f"{size / 1024:,.1f} KiB" in told
    assert "would be sent to you/tiny; nothing was" in told
    assert "log.jsonl" not in told
    assert hub.asked == []


def test_pull(hub: Hub, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["push", str(trained), ID, "--revision", "v1"])
    hub.repos["model", ID].files["evil.py"] = b"print('no')"
    program.main(["pull", ID, str(tmp_path / "copy"), "--revision", "v1"])
    names = {p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*.*")}
    wanted = {"README.md", "config.json", "model.safetensors", "results.json"}
    assert names == wanted | {"figures/reliability.png"}
    assert same(from_pretrained(tmp_path / "copy"), from_pretrained(trained))
    with pytest.raises(SystemExit):
        program.main(["pull", ID, str(tmp_path / "copy")])
    assert "holds something already" in capsys.readouterr().err


def test_a_pull_sees_what_is_new(hub: Hub, trained: Path, tmp_path: Path) -> None:
    push_to_hub(trained, ID)
    from_pretrained(ID)  # now in the cache
    save_pretrained(timm.create_model("cifarnet_nano", num_classes=3), trained, label_names=NAMES)
    second = push_to_hub(trained, ID)
    folder, commit = pull(ID, tmp_path / "new")
    assert commit == second.commit
    assert same(from_pretrained(folder), from_pretrained(trained))


REFUSALS: list[tuple[str, list[Fault], str, str]] = [
    ("wrong token", [], "hf_Wrong", r"does not accept the token.*hf auth login"),
    ("no write access", [], READER, r"may not write to you/tiny: use one with write access"),
    ("broken", [Fault("POST .*/commit/", status=500)], WRITER, r"answered 500.*Try again later"),
    ("cut", [Fault("PUT /lfs/", cut=1000)], WRITER, r"connection to the hub broke|answered"),
]


@pytest.mark.parametrize(("case", "faults", "token", "said"), REFUSALS, ids=lambda v: str(v)[:9])
def test_refusals_leave_nothing_half_done(
    case: str,
    faults: list[Fault],
    token: str,
    said: str,
    hub: Hub,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.faults = faults
    with pytest.raises(HubError, match=said) as caught:
        push_to_hub(trained, ID)
    assert token not in str(caught.value)
    for repo in hub.repos.values():
        assert set(repo.files) == {".gitattributes"}


def test_no_token(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub_errors, "get_token", lambda: None)
    with pytest.raises(HubError, match="run `hf auth login`, or set HF_TOKEN"):
        push_to_hub(trained, ID)
    assert hub.asked == []


@pytest.mark.parametrize("line", ["POST .*/commit/", "PUT /lfs/", "POST /api/repos/create"])
def test_overload_is_waited_for(line: str, hub: Hub, trained: Path) -> None:
    hub.faults = [Fault(line, status=503, times=2)]
    assert push_to_hub(trained, ID).new
    assert "model.safetensors" in hub.repos["model", ID].files


@pytest.mark.parametrize("name", ["no slash", "a/b/c", "you/ti ny", "-x/y"])
def test_names_that_are_no_ids(name: str, hub: Hub, trained: Path) -> None:
    with pytest.raises(HubError, match="no valid hub id"):
        push_to_hub(trained, name)


def test_damaged_weights_are_not_sent(hub: Hub, trained: Path) -> None:
    weights = (trained / "model.safetensors").read_bytes()
    (trained / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(WeightsError, match="complete safetensors"):
        push_to_hub(trained, ID)
    assert hub.asked == []


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("GET .*safetensors", change=flipped), "not the file that the hub announced"),
        (Fault("GET .*safetensors", cut=500), "connection broke|complete|announced|size"),
    ],
    ids=["tampered", "cut"],
)
def test_damage_on_the_way_is_not_kept(fault: Fault, said: str, hub: Hub, trained: Path) -> None:
    push_to_hub(trained, ID)
    hub.faults = [fault]
    with pytest.raises(CifarnetError, match=said):
        from_pretrained(ID)
    hub.faults = []
    assert same(from_pretrained(ID), from_pretrained(trained))


def test_the_token_is_never_told(
    hub: Hub, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when all goes well nor when the hub fails, on either stream."""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_DEBUG": "0",
    }
    for status, code in ((0, 0), (403, 2)):
        hub.faults = [Fault("POST .*/commit/", status=status)] if status else []
        name = f"you/told-{status}"
        line = [sys.executable, "-m", "model.hub", "push", str(trained), name]
        done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        assert WRITER not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if code:
            assert "may not write" in done.stderr
        else:
            url: Any = json.dumps(f"{hub.endpoint}/{name}/commit/")[1:-1]
            assert url in done.stdout


@pytest.fixture
def outside(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment of a program that asks the hub."""
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    return {**os.environ, **home, "HF_HUB_DISABLE_XET": "1"}


QUICK = ["--epochs", "1", "--batch-size", "10", "--val-size", "6", "--network", "cifarnet_nano"]


def test_a_run_reads_its_data_there_and_is_sent_at_its_end(
    hub: Hub, outside: dict[str, str], tmp_path: Path
) -> None:
    """The dataset comes by its id from the same hub."""
    shards = layout(tmp_path / "data")
    files = {f"data/{path.name}": path.read_bytes() for path in shards.glob("*.parquet")}
    hub.add("some/letters", files, kind="dataset")
    line = [sys.executable, "train.py", "--dataset", "some/letters", *QUICK]
    line += ["--output", str(tmp_path / "run"), "--push-to-hub", ID]
    done = subprocess.run(line, env=outside, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    repo = hub.repos["model", ID]
    assert f"/{ID}/commit/{repo.refs['main']}" in done.stdout
    sent = json.loads(repo.files["config.json"])
    assert sent["label_names"] == ["a", "b", "c"]
    assert sent["cifarnet"]["data"]["name"] == "some/letters"
    assert b"some/letters" in repo.files["README.md"]
    assert WRITER not in done.stdout + done.stderr
    assert not any(WRITER.encode() in data for data in repo.files.values())


def test_a_wrong_token_is_said_before_training(outside: dict[str, str], tmp_path: Path) -> None:
    line = [sys.executable, "train.py", "--dataset", "synthetic", "--push-to-hub", ID]
    line += ["--output", str(tmp_path / "run")]
    env = {**outside, "HF_TOKEN": "hf_Wrong"}
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "does not accept the token" in done.stderr
    assert "hf_Wrong" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_whose_model_cannot_be_sent_keeps_it(hub: Hub, trained: Path) -> None:
    hub.faults = [Fault("POST .*/commit/", status=403)]
    said = r"(?s)may not write.*The model is safe in .*run.*model\.hub push .*run you/tiny"
    with pytest.raises(HubError, match=said):
        push.push_run(trained, ID)
