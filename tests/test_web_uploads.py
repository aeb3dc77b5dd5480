"""Only uploads are read; they are kept within bounds, and what is old or was broken off goes."""

import os
import time
from pathlib import Path

import pytest

from model.utils.errors import ImageError
from web import uploads
from web.uploads import BROKEN_OFF, KEPT, LEAST_BYTES


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
    return sorted(path.name for path in folder.iterdir() if not path.is_symlink())


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


def test_the_oldest_make_room_and_small_ones_count_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.sweep()  # there is no folder yet
    for age, (name, size) in enumerate((("new", 2 * LEAST_BYTES), ("middle", 1), ("old", 1))):
        put(folder / name / "photo.jpg", 60 * age, size)
    put(folder.parent / "outside" / "precious.jpg", 0, 10_000)
    (folder / "link").symlink_to(folder.parent / "outside")  # which is not followed
    left = {
        4 * LEAST_BYTES: ["middle", "new", "old"],
        4 * LEAST_BYTES - 1: ["middle", "new"],
        0: [],
    }
    for most, kept in left.items():
        monkeypatch.setattr(uploads, "MOST_BYTES", most)
        uploads.sweep()
        assert names(folder) == kept
    assert (folder.parent / "outside" / "precious.jpg").exists()


def test_what_is_old_or_was_broken_off_goes_and_what_still_comes_stays(folder: Path) -> None:
    put(folder / "tmpold", BROKEN_OFF + 60)
    put(folder / "tmpnew", 5)
    put(folder / "whole" / "photo.jpg", BROKEN_OFF + 60)
    put(folder / "older" / "photo.jpg", KEPT + 60)
    uploads.sweep()
    assert names(folder) == ["tmpnew", "whole"]
