"""Uploads are kept within bounds, and what was broken off goes."""

import os
import time
from pathlib import Path

import pytest

from web import tidy


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def put(path: Path, age: float, size: int = 100) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    written = time.time() - age
    os.utime(path, (written, written))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_oldest_make_room(uploads: Path) -> None:
    for age, name in enumerate(("new", "middle", "old")):
        put(uploads / name / "photo.jpg", age * 1000)
    assert tidy.sweep(most_bytes=300) == 0
    assert tidy.sweep(most_bytes=250) == 1
    assert names(uploads) == ["middle", "new"]
    assert tidy.sweep(most_files=1) == 1
    assert names(uploads) == ["new"]
    assert tidy.sweep(most_bytes=0) == 1
    assert names(uploads) == []


def test_what_was_broken_off_goes_and_what_still_comes_stays(uploads: Path) -> None:
    put(uploads / "tmpold", tidy.BROKEN_OFF + 60)
    put(uploads / "tmpnew", 5)
    put(uploads / "whole" / "photo.jpg", tidy.BROKEN_OFF + 60)
    assert tidy.sweep() == 1
    assert names(uploads) == ["tmpnew", "whole"]


def test_a_folder_that_is_not_there_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "none"))
    assert tidy.sweep() == 0


def test_a_link_is_not_followed(uploads: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    put(outside / "precious.jpg", 10_000)
    (uploads / "link").symlink_to(outside)
    assert tidy.sweep(most_bytes=0) == 0
    assert (outside / "precious.jpg").exists()
