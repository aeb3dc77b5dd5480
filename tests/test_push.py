"""Sending a model to a hub on loopback, and fetching it again: all of it or nothing, no secrets."""

import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import timm
from hub_fixtures import ID, ROOT, same, train_anew
from hub_layout import layout
from hub_state import READER, WRITER, Fault, Hub
from test_hub_faults import flipped
from tiny_model import make_network

import train
from model import from_pretrained, push_to_hub
from model.hub import __main__ as program
from model.hub import push, save_pretrained
from model.hub.pull import pull
from model.utils.errors import HubError

FILES = {"README.md", "config.json", "model.safetensors", "results.json", "figures/reliability.png"}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_one_commit_holds_everything(hub: Hub, tiny: Path) -> None:
    pushed = push_to_hub(tiny, ID, message="hello")
    repo = hub.repos["model", ID]
    assert set(repo.files) == FILES | {".gitattributes"}
    assert repo.messages == ["initial commit", "hello"]
    assert (pushed.commit, pushed.new) == (repo.refs["main"], True)
    for name in ("model.safetensors", "config.json", "results.json"):
        assert repo.files[name] == (tiny / name).read_bytes()
    assert b"figures/reliability.png" in repo.files["README.md"]
    assert b"confident_mistakes" not in repo.files["README.md"]


def test_the_same_again_makes_no_commit(hub: Hub, tiny: Path) -> None:
    first = push_to_hub(tiny, ID)
    again = push_to_hub(tiny, ID)
    assert (again.new, again.commit) == (False, first.commit)
    assert len(hub.repos["model", ID].commits) == 2
    (tiny / "figures" / "reliability.png").unlink()  # and what is gone, is gone there
    assert push_to_hub(tiny, ID).new
    assert "figures/reliability.png" not in hub.repos["model", ID].files


def test_results_of_an_earlier_model_go(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    hub.repos["model", ID].files["notes.txt"] = b"of the owner"
    push_to_hub(save_pretrained(make_network(), tmp_path / "bare"), ID)
    files = hub.repos["model", ID].files
    bare = {".gitattributes", "README.md", "config.json", "model.safetensors"}
    assert set(files) == bare | {"notes.txt"}
    assert b"nothing is claimed" in files["README.md"]


def test_tags(hub: Hub, tiny: Path) -> None:
    first = push_to_hub(tiny, ID, revision="v1")
    repo = hub.repos["model", ID]
    assert repo.tags == {"v1": first.commit}
    network = from_pretrained(tiny)
    train_anew(tiny, seed=1)
    with pytest.raises(HubError, match="'v1'"):
        push_to_hub(tiny, ID, revision="v1")
    assert len(repo.commits) == 2  # nothing was sent
    push_to_hub(tiny, ID, revision="v2")
    assert same(from_pretrained(ID, revision="v1"), network)
    assert same(from_pretrained(ID, revision="v2"), from_pretrained(tiny))
    assert same(from_pretrained(ID, revision=first.commit), network)
    assert same(timm.create_model(f"hf-hub:{ID}@v1", pretrained=True), network)


def test_private_repositories(hub: Hub, tiny: Path) -> None:
    network = from_pretrained(tiny)
    push_to_hub(network, ID, private=True)  # a network can be sent as it is
    assert hub.repos["model", ID].private
    assert same(from_pretrained(ID), network)
    hub.add("you/public", {"hello.txt": b"hello"})
    with pytest.raises(HubError, match="you/public exists and is public"):
        push_to_hub(tiny, "you/public", private=True)
    assert set(hub.repos["model", "you/public"].files) == {"hello.txt"}


def test_the_commands(
    hub: Hub, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.main(["push", str(tiny), ID, "--dry-run"])
    told = capsys.readouterr().out
    assert f"{(tiny / 'model.safetensors').stat().st_size / 1024:,.1f} KiB" in told
    assert "log.jsonl" not in told
    assert hub.asked == []
    program.main(["push", str(tiny), ID, "--revision", "v1"])
    assert f"{hub.endpoint}/{ID}/commit/{hub.repos['model', ID].refs['main']}" in (
        capsys.readouterr().out
    )
    program.main(["pull", ID, str(tmp_path / "copy"), "--revision", "v1"])
    assert hub.repos["model", ID].refs["main"] in capsys.readouterr().out
    assert names(tmp_path / "copy") == FILES
    assert same(from_pretrained(tmp_path / "copy"), from_pretrained(tiny))
    for wrong in (
        ["pull", ID, str(tmp_path / "copy")],  # which holds something
        ["push", str(tiny), "demo"],  # of which the hub would make an empty repository
        ["push-space", str(tiny), "demo"],
    ):
        with pytest.raises(SystemExit) as stopped:
            program.main(wrong)
        assert stopped.value.code == 2
        assert wrong[-1] in capsys.readouterr().err
    assert set(hub.repos) == {("model", ID)}


def test_a_pull_sees_what_is_new(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    from_pretrained(ID)  # now in the cache
    train_anew(tiny, seed=1)
    hub.repos["model", ID].commit(dict(hub.repos["model", ID].files), "theirs")  # elsewhere
    second = push_to_hub(tiny, ID)
    assert same(from_pretrained(ID), from_pretrained(tiny))  # what was pushed is loaded next
    folder, commit = pull(ID, tmp_path / "new")
    assert commit == second.commit
    assert same(from_pretrained(folder), from_pretrained(tiny))
    hub.faults = [Fault(".", status=503)]
    with pytest.raises(HubError, match="503"):  # rather than what is in the cache
        pull(ID, tmp_path / "second")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["README.md", "results.json", "reliability.png"])
def test_everything_pulled_is_checked(name: str, hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    hub.faults = [Fault(f"GET .*resolve.*{name}", change=flipped)]
    with pytest.raises(HubError, match=f"{name} of you/tiny"):
        pull(ID, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_names_on_a_hub_that_lead_elsewhere(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    push_to_hub(tiny, ID)
    odd = ["figures/../../../evil.png", "figures/a/b.png", "figures/b.png/c.png", "evil.py"]
    hub.repos["model", ID].files.update(dict.fromkeys(odd, b"x"))
    hub.repos["model", ID].files["figures/confident_mistakes.png"] = b"x"
    pull(ID, tmp_path / "copy")
    assert names(tmp_path / "copy") == FILES
    assert push_to_hub(tmp_path / "copy", "you/again").new


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


@pytest.mark.parametrize(
    ("token", "repo_id", "said"),
    [
        ("", ID, "no token"),
        ("hf_Wrong", ID, "nvalid"),
        (READER, ID, "only reads"),
        (WRITER, "demo", "'demo'"),
    ],
)
def test_what_cannot_be_sent_is_told_before_training(
    token: str,
    repo_id: str,
    said: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    line = ["--dataset", "synthetic", "--push-to-hub", repo_id, "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stopped:
        train.main(line)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert not token or token not in told
    assert not hub.repos
    assert not (tmp_path / "run").exists()


def test_a_run_whose_model_cannot_be_sent_keeps_it(hub: Hub, tiny: Path) -> None:
    hub.faults = [Fault("POST .*/commit/", status=403)]
    with pytest.raises(HubError, match=f"python -m model.hub push {tiny} {ID}"):
        push.push_run(tiny, ID)


def test_a_second_load_asks_nobody_and_needs_no_network(
    hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(tiny, ID)
    hub.repos["model", ID].files["pytorch_model.bin"] = b"a pickle"
    hub.asked.clear()
    first = from_pretrained(ID)
    # Nothing but safetensors and JSON is fetched, the weights by the commit of the config card.
    assert {line.rsplit("/", 1)[-1] for line in hub.asked} == {"config.json", "model.safetensors"}
    commit = hub.repos["model", ID].refs["main"]
    assert {line.split("/")[-2] for line in hub.asked if "model" in line[-20:]} == {commit}
    hub.asked.clear()
    assert same(from_pretrained(ID), first)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert same(from_pretrained(ID), first)
    assert hub.asked == []
