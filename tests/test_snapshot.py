"""Tests of model.hub.snapshot: which names are folders, and what a folder must hold."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_fixtures import ID
from hub_state import Hub

from model.hub import from_pretrained, read_config
from model.utils.errors import ConfigError


def asserts_refused(model: Any, *parts: str, **options: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        from_pretrained(model, **options)
    for part in parts:
        assert part in str(caught.value)


def test_missing_files(saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")  # which is not looked at
    asserts_refused(saved, str(saved), "model.safetensors")
    read_config(saved)
    (saved / "config.json").unlink()
    asserts_refused(saved, str(saved), "config.json")
    (saved / "checkpoint.safetensors").touch()
    asserts_refused(saved, "config.json", f"--resume {saved}")


@pytest.mark.parametrize(
    "name", ["gone", "./runs/gone", "../gone", "~/gone", "a/b/c", "/", "a b/c"]
)
def test_names_that_can_only_be_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    name = name if name != "/" else "/nowhere"
    asserts_refused(name, repr(name), "owner/name")


def test_a_file_or_a_revision_in_the_wrong_place(saved: Path) -> None:
    asserts_refused(saved / "config.json", str(saved / "config.json"))
    asserts_refused(saved, "revision='main'", revision="main")


def test_folders_go_before_hub_ids(
    hub: Hub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / ID)
    from_pretrained(ID)
    assert hub.asked == []
