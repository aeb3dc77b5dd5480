"""Sending the web page as a Space: what arrives starts by itself and serves that model."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from hub_fixtures import NAMES, ROOT
from hub_state import Hub
from huggingface_hub import RepoCard
from pages import served

from model.hub import __main__ as program
from model.hub.space import push_space
from model.utils.errors import ConfigError

SPACE = "you/tiny-demo"


@pytest.mark.slow
def test_a_space_starts_by_itself(
    hub: Hub, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_space(tiny, SPACE)
    files = hub.repos["space", SPACE].files
    folder = tmp_path / "space"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert (folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with served(folder=folder) as url:
        client = Client(url, verbose=False)
        answer: Any = client.predict(
            handle_file(str(ROOT / "examples" / "ship.png")), api_name="/classify"
        )
    assert any(name in json.dumps(answer) for name in NAMES)


def test_what_a_space_holds(hub: Hub, tiny: Path) -> None:
    assert push_space(tiny, SPACE).new
    assert not push_space(tiny, SPACE).new
    assert ("model", SPACE) not in hub.repos
    files = hub.repos["space", SPACE].files
    top = {"app.py", "requirements.txt", "config.json", "results.json", "README.md", "LICENSE"}
    assert top < set(files)
    assert files["requirements.txt"] == (ROOT / "requirements.txt").read_bytes()
    card = RepoCard(files["README.md"].decode()).data.to_dict()
    assert (card["sdk"], card["app_file"]) == ("gradio", "app.py")
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", files["README.md"].decode())
    assert "figures/reliability.png" in shown
    assert not [name for name in files if re.search(r"pycache|checkpoint\.saf|jsonl|^tests", name)]
    assert "figures/confident_mistakes.png" not in files
    old = {"web/old.py": b"1", "model/old.py": b"2", "mine.txt": b"3"}
    files.update(old)
    push_space(tiny, SPACE)
    files = hub.repos["space", SPACE].files
    assert old.keys() & files.keys() == {"mine.txt"}  # what left the code leaves the Space


def test_the_command(hub: Hub, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["push-space", str(tiny), SPACE, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"app\.py +\d", said)
    assert "A dry run: " in said
    assert hub.asked == []
    assert program.main(["push-space", str(tiny), SPACE, "--private"]) == 0
    assert f"{hub.endpoint}/spaces/{SPACE}/commit/" in capsys.readouterr().out
    assert hub.repos["space", SPACE].private


def test_models_that_have_no_page(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no folder .*model\.hub pull"):
        push_space("you/other", SPACE)
    results = (tiny / "results.json").read_text()
    (tiny / "results.json").write_text(
        results.replace('"weights_sha256": "', '"weights_sha256": "0')
    )
    with pytest.raises(ConfigError, match="tells of other weights"):
        push_space(tiny, SPACE)
    (tiny / "results.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no results\.json"):
        push_space(tiny, SPACE)
    assert hub.asked == []
