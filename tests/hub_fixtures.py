"""A hub that runs, and a small model to send to it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hub_server
import huggingface_hub
import pytest
import timm
import torch
from hub_state import WRITER, Hub
from tiny_model import NAMES as FIVE
from tiny_model import make_network

import model
from model.hub import save_pretrained

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
        impatient = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
        for place in ("utils._http", "file_download"):
            monkeypatch.setattr(f"huggingface_hub.{place}.time", impatient)
        yield running


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder as a run leaves it."""
    folder = train_anew(tmp_path / "run", seed=0)
    (folder / "figures").mkdir()
    for name in ("reliability", "confident_mistakes"):
        (folder / "figures" / f"{name}.png").write_bytes(b"\x89PNG " + name.encode())
    for name in ("checkpoint.safetensors", "log.jsonl"):
        (folder / name).write_bytes(b"not to be sent")
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with weights and a config card alone."""
    return save_pretrained(make_network(), tmp_path / "saved", label_names=FIVE)


@pytest.fixture
def outside(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment of a program that asks the hub."""
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    return {**os.environ, **home, "HF_HUB_DISABLE_XET": "1"}


def train_anew(folder: Path, seed: int) -> Path:
    """Saves a network with other weights, and results that are said to be its own."""
    torch.manual_seed(seed)
    network = timm.create_model("cifarnet_nano", num_classes=3, widths=(8, 8, 8), depths=(1, 1, 1))
    results: dict[str, Any] = json.loads((ROOT / "results.json").read_text())
    results["model"]["architecture"] = "cifarnet_nano"
    results["dataset"]["label_names"] = NAMES
    return save_pretrained(network, folder, label_names=NAMES, results=results)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)
