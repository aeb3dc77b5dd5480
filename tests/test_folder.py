"""A run's folder: taken where it is empty, or holds nothing but what a killed run left."""

import os
from pathlib import Path

import pytest

from model.utils import folder
from model.utils.errors import ConfigError, TrainingError


def test_what_a_run_left_that_was_killed_at_once_is_no_obstacle(tmp_path: Path) -> None:
    for name in (".checkpoint.safetensors.0123abcd.tmp", ".lock"):
        (tmp_path / name).write_bytes(b"")
    with folder.claim(tmp_path, resume=False):
        assert {path.name for path in tmp_path.iterdir()} == {".lock"}
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["photo.jpg", ".git", "notes.tmp"])
def test_anything_else_is(name: str, tmp_path: Path) -> None:
    kept = (name, ".checkpoint.safetensors.0123abcd.tmp")
    for one in kept:
        (tmp_path / one).write_bytes(b"mine")
    with (
        pytest.raises(ConfigError, match="is not empty"),
        folder.claim(tmp_path, resume=False),
    ):
        pytest.fail("it was taken")
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


@pytest.mark.parametrize("resume", [False, True])
def test_two_runs_never_share_a_folder(resume: bool, tmp_path: Path) -> None:
    run = tmp_path / "new" / "run"
    with folder.claim(run, resume=False):
        with pytest.raises(TrainingError, match="new"), folder.claim(run, resume=resume):
            pytest.fail("it was taken twice")
        assert (run / ".lock").exists()
        (run / "log.jsonl").touch()
    with folder.claim(run, resume=True):
        pass
    assert os.listdir(run) == ["log.jsonl"]


def test_a_folder_that_stays_empty_does_not_stay(tmp_path: Path) -> None:
    with folder.claim(tmp_path / "a" / "b", resume=False):
        pass
    assert os.listdir(tmp_path) == []


def test_names_that_cannot_be_opened_again_are_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9") if os.name == "posix" else "caf\udce9"
    with pytest.raises(ConfigError, match="UTF-8"), folder.claim(tmp_path / name, resume=False):
        pytest.fail("it was taken")
    assert os.listdir(tmp_path) == []
