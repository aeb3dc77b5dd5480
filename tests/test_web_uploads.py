"""Only uploads are read; they are kept within bounds, and what was broken off goes."""

import os
import time
from pathlib import Path

import pytest

from model.utils.errors import ImageError
from web import uploads


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where gradio puts uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return tmp_path / "uploads"


def put(path: Path, age: float, size: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    written = time.time() - age
    os.utime(path, (written, written))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_uploads_are_read(folder: Path) -> None:
    put(folder / "a", 0)
    put(folder.parent / "secret", 0)
    (folder / "link").symlink_to(folder.parent / "secret")
    assert uploads.content_of(str(folder / "a")) == bytes(100)
    tricks = ("secret", "uploads/../secret", "uploads/link", "uploads", "uploads/b", "a\0b")
    paths: list[object] = [str(folder.parent / trick) for trick in tricks]
    for path in [*paths, "", None, {}, "http://a/b"]:
        with pytest.raises(ImageError):
            uploads.content_of(path)


def test_the_oldest_make_room(folder: Path) -> None:
    assert uploads.sweep() == 0  # there is no folder yet
    for age, name in enumerate(("new", "middle", "old")):
        put(folder / name / "photo.jpg", age * 1000)
    assert uploads.sweep(most_bytes=300) == 0
    assert uploads.sweep(most_bytes=250) == 1
    assert names(folder) == ["middle", "new"]
    assert uploads.sweep(most_files=1) == 1
    assert names(folder) == ["new"]
    assert uploads.sweep(most_bytes=0) == 1
    assert names(folder) == []


def test_what_was_broken_off_goes_and_what_still_comes_stays(folder: Path) -> None:
    put(folder / "tmpold", uploads.BROKEN_OFF + 60)
    put(folder / "tmpnew", 5)
    put(folder / "whole" / "photo.jpg", uploads.BROKEN_OFF + 60)
    assert uploads.sweep() == 1
    assert names(folder) == ["tmpnew", "whole"]


def test_a_link_is_not_followed(folder: Path) -> None:
    outside = folder.parent / "outside"
    put(outside / "precious.jpg", 10_000)
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    assert uploads.sweep(most_bytes=0) == 0
    assert (outside / "precious.jpg").exists()
