"""What was pushed is read back through software that is not ours: git keeps it, olah serves it.

olah (PyPI) speaks the hub's protocol and wants an environment of its own; OLAH names its program.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_fixtures import ID, ROOT
from hub_state import Hub
from pages import free_port

from model import push_to_hub

OLAH = os.environ.get("OLAH") or shutil.which("olah-cli")
CONFIG = """
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/repos"
mirrors-path = ["{folder}/mirrors"]
has-lfs-site = false

[accessibility]
offline = true
"""
WHO = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
READ = """
import sys, timm, torch
import model
from model import from_pretrained

ours = from_pretrained(sys.argv[1], revision="v1").state_dict()
local = from_pretrained(sys.argv[2]).state_dict()
theirs = timm.create_model(f"hf-hub:{sys.argv[1]}", pretrained=True).state_dict()
assert all(torch.equal(ours[k], local[k]) and torch.equal(theirs[k], local[k]) for k in local)
"""


@pytest.fixture
def olah(tmp_path: Path, hub: Hub, tiny: Path) -> Iterator[str]:
    """Address of a foreign hub that serves what was pushed."""
    if OLAH is None:
        pytest.skip("needs olah in an environment of its own (pip install olah; OLAH names it)")
    push_to_hub(tiny, ID)
    repository = tmp_path / "mirrors" / "models" / ID
    for name, data in hub.repos["model", ID].files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(data)
    for line in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run(["git", *WHO, *line], cwd=repository, check=True)
    port = free_port()
    config = tmp_path / "olah.toml"
    config.write_text(CONFIG.format(port=port, folder=tmp_path))
    with open(tmp_path / "olah.log", "w") as log:
        server = subprocess.Popen(
            [OLAH, "-c", str(config)], cwd=tmp_path, stdout=log, stderr=log, env=_no_proxy()
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/models/{ID}/revision/main", server, tmp_path / "olah.log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _no_proxy() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


def _wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_read_back_through_a_foreign_hub(
    olah: str, hub: Hub, tiny: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    env = {**outside, "HF_ENDPOINT": olah, "HF_TOKEN": ""}
    for line in (
        ["-c", READ, ID, str(tiny)],
        ["-m", "model.hub", "pull", ID, str(tmp_path / "copy"), "--revision", "v1"],
    ):
        done = subprocess.run(
            [sys.executable, *line], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr + (tmp_path / "olah.log").read_text()[-3000:]
    sent = hub.repos["model", ID].files
    for name in sent.keys() - {".gitattributes"}:
        assert (tmp_path / "copy" / name).read_bytes() == sent[name]
