"""A run's folder: taken where it is empty, or holds nothing but what a killed run left."""

from pathlib import Path

import pytest

from model.utils import folder
from model.utils.errors import ConfigError


def test_what_a_run_left_that_was_killed_at_once_is_no_obstacle(tmp_path: Path) -> None:
    for name in (".checkpoint.safetensors.0123abcd.tmp", ".writable.tmp"):
        (tmp_path / name).write_bytes(b"half")
    folder.check_output(tmp_path, resume=False)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["photo.jpg", ".git", "notes.tmp"])
def test_anything_else_is(name: str, tmp_path: Path) -> None:
    kept = (name, ".checkpoint.safetensors.0123abcd.tmp")
    for one in kept:
        (tmp_path / one).write_bytes(b"mine")
    with pytest.raises(ConfigError, match="is not empty"):
        folder.check_output(tmp_path, resume=False)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
