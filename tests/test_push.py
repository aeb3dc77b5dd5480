"""Sending a model to a hub on loopback, and fetching it again: all of it or nothing, no secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
from hub_fixtures import ID, ROOT, same, train_anew
from hub_layout import layout
from hub_state import WRITER, Fault, Hub

from model import from_pretrained, push_to_hub
from model.hub import __main__ as program
from model.hub import push
from model.hub.pull import pull
from model.utils.errors import HubError


def test_one_commit_holds_everything(hub: Hub, tiny: Path) -> None:
    pushed = push_to_hub(tiny, ID, message="hello")
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
        assert repo.files[name] == (tiny / name).read_bytes()
    assert b"figures/reliability.png" in repo.files["README.md"]
    assert b"confident_mistakes" not in repo.files["README.md"]


def test_the_same_again_makes_no_commit(hub: Hub, tiny: Path) -> None:
    first = push_to_hub(tiny, ID)
    again = push_to_hub(tiny, ID)
    assert not again.new
    assert again.commit == first.commit
    assert len(hub.repos["model", ID].commits) == 2
    (tiny / "figures" / "reliability.png").unlink()  # and what is gone, is gone there
    assert push_to_hub(tiny, ID).new
    assert "figures/reliability.png" not in hub.repos["model", ID].files


def test_tags(hub: Hub, tiny: Path) -> None:
    first = push_to_hub(tiny, ID, revision="v1")
    repo = hub.repos["model", ID]
    assert repo.tags == {"v1": first.commit}
    assert not push_to_hub(tiny, ID, revision="v1").new  # the same again
    network = from_pretrained(tiny)
    train_anew(tiny, seed=1)
    with pytest.raises(HubError, match=r"tag 'v1' already.*nothing was sent"):
        push_to_hub(tiny, ID, revision="v1")
    assert len(repo.commits) == 2
    push_to_hub(tiny, ID, revision="v2")
    assert same(from_pretrained(ID, revision="v1"), network)
    assert same(from_pretrained(ID, revision="v2"), from_pretrained(tiny))
    assert same(from_pretrained(ID, revision=first.commit), network)
    assert same(timm.create_model(f"hf-hub:{ID}@v1", pretrained=True), network)


def test_a_network_can_be_sent_as_it_is(hub: Hub, tiny: Path) -> None:
    network = from_pretrained(tiny)
    push_to_hub(network, ID, private=True)
    assert hub.repos["model", ID].private
    assert same(from_pretrained(ID), network)


def test_private_weights_do_not_go_where_all_can_see_them(hub: Hub, tiny: Path) -> None:
    hub.add(ID, {"hello.txt": b"hello"})
    with pytest.raises(HubError, match="exists and is public; nothing was sent"):
        push_to_hub(tiny, ID, private=True)
    assert set(hub.repos["model", ID].files) == {"hello.txt"}


def test_a_second_load_asks_nobody(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    first = from_pretrained(ID)
    hub.asked.clear()
    assert same(from_pretrained(ID), first)
    assert hub.asked == []


def test_only_safetensors_and_json_are_fetched(hub: Hub, tiny: Path) -> None:
    push_to_hub(tiny, ID)
    repo = hub.repos["model", ID]
    repo.files["pytorch_model.bin"] = b"a pickle"
    hub.asked.clear()
    from_pretrained(ID)
    assert {line.rsplit("/", 1)[-1] for line in hub.asked} == {"config.json", "model.safetensors"}


def test_dry_run(hub: Hub, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["push", str(tiny), ID, "--dry-run"])
    told = capsys.readouterr().out
    size = (tiny / "model.safetensors").stat().st_size
    assert f"{size / 1024:,.1f} KiB" in told
    assert "would be sent to you/tiny; nothing was" in told
    assert "log.jsonl" not in told
    assert hub.asked == []


def test_pull(hub: Hub, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["push", str(tiny), ID, "--revision", "v1"])
    hub.repos["model", ID].files["evil.py"] = b"print('no')"
    program.main(["pull", ID, str(tmp_path / "copy"), "--revision", "v1"])
    names = {p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*.*")}
    wanted = {"README.md", "config.json", "model.safetensors", "results.json"}
    assert names == wanted | {"figures/reliability.png"}
    assert same(from_pretrained(tmp_path / "copy"), from_pretrained(tiny))
    with pytest.raises(SystemExit):
        program.main(["pull", ID, str(tmp_path / "copy")])
    assert "holds something already" in capsys.readouterr().err


def test_a_pull_sees_what_is_new(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    from_pretrained(ID)  # now in the cache
    train_anew(tiny, seed=1)
    second = push_to_hub(tiny, ID)
    folder, commit = pull(ID, tmp_path / "new")
    assert commit == second.commit
    assert same(from_pretrained(folder), from_pretrained(tiny))


def test_the_token_is_never_told(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        line = [sys.executable, "-m", "model.hub", "push", str(tiny), name]
        done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        assert WRITER not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if code:
            assert "may not write" in done.stderr
        else:
            url: Any = json.dumps(f"{hub.endpoint}/{name}/commit/")[1:-1]
            assert url in done.stdout


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


@pytest.mark.parametrize("line", [["push"], ["push-space"]])
def test_an_id_without_an_owner_makes_nothing(
    hub: Hub, tiny: Path, capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    """The hub would make an empty repository of the sender's."""
    before = set(hub.repos)
    with pytest.raises(SystemExit) as stopped:
        program.main([*line, str(tiny), "demo"])
    assert stopped.value.code == 2
    assert "'demo' is not a hub id" in capsys.readouterr().err
    assert set(hub.repos) == before


def test_an_id_without_an_owner_is_said_before_training(
    hub: Hub, outside: dict[str, str], tmp_path: Path
) -> None:
    line = [sys.executable, "train.py", "--dataset", "synthetic", "--push-to-hub", "demo"]
    line += ["--output", str(tmp_path / "run")]
    done = subprocess.run(line, env=outside, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "'demo' is not a hub id" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_whose_model_cannot_be_sent_keeps_it(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/commit/", status=403)]
    said = r"(?s)may not write.*The model is safe in .*run.*model\.hub push .*run you/tiny"
    with pytest.raises(HubError, match=said):
        push.push_run(tiny, ID)
