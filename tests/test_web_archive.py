"""Uploads are read within limits, whatever a zip claims."""

import struct
import zipfile
from pathlib import Path

import pytest

from model.utils.errors import ImageError
from web import archive
from web.archive import Item, items


def _zip(folder: Path, files: dict[str, bytes], name: str = "pictures.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for entry, content in files.items():
            archive_file.writestr(entry, content)
    return path


def _read(path: Path) -> list[Item]:
    return list(items([(path.name, path)]))


def _problem(item: Item) -> str:
    """Why a file was not read."""
    assert isinstance(item[1], ImageError)
    return str(item[1])


def _bytes(found: list[Item]) -> list[int]:
    return [len(content) for _, content in found if isinstance(content, bytes)]


def test_files_and_zips_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"1")
    bundle = _zip(tmp_path, {"a/two.png": b"2", "three.png": b"3"}, "told-by-content.png")
    found = list(items([("one.png", tmp_path / "one.png"), ("b.png", bundle)]))
    assert found == [("one.png", b"1"), ("a/two.png", b"2"), ("three.png", b"3")]


def test_names_that_climb_out_write_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "so" / "deep" / "inside"  # that what climbs out lands where it is seen
    inside.mkdir(parents=True)
    bundle = _zip(inside, {"../../evil.png": b"x", "/etc/evil.png": b"y"})
    before = sorted(tmp_path.rglob("*"))
    assert [content for _, content in _read(bundle)] == [b"x", b"y"]
    assert sorted(tmp_path.rglob("*")) == before


def test_what_systems_put_into_a_zip_is_left_out(tmp_path: Path) -> None:
    junk = {"__MACOSX/._a.png": b"x", ".DS_Store": b"x", "b/Thumbs.db": b"x", "folder/": b""}
    assert _read(_zip(tmp_path, {**junk, "a.png": b"a"})) == [("a.png", b"a")]


def test_a_bomb_is_unpacked_to_its_limit_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES_EACH", 1000)
    bundle = _zip(tmp_path, {"bomb.png": bytes(10**6), "small.png": b"s"})
    bomb, small = _read(bundle)
    assert "larger" in _problem(bomb)
    assert small == ("small.png", b"s")
    content = _zip(tmp_path, {"bomb.png": bytes(10**6)}).read_bytes()
    assert content.count(struct.pack("<I", 10**6)) == 2
    bundle.write_bytes(content.replace(struct.pack("<I", 10**6), struct.pack("<I", 10)))
    assert sum(_bytes(_read(bundle))) <= 10  # a size that lies does not help


@pytest.mark.parametrize(("limit", "value"), [("MOST_BYTES", 25), ("MOST_PICTURES", 3)])
def test_together_they_may_not_exceed_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(archive, limit, value)
    *read, last = _read(_zip(tmp_path, {f"{i}.png": bytes(10) for i in range(9)}))
    assert sum(_bytes(read)) <= 30
    assert "separately" in _problem(last)


def test_a_huge_list_of_contents_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "DIRECTORY_BYTES", 100)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a, **k: pytest.fail("it was read"))
    path = tmp_path / "many.zip"
    path.write_bytes(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, 3_000_000, 0, 0))
    (item,) = _read(path)
    assert f"{archive.MOST_ENTRIES:,}" in _problem(item)


def test_what_is_encrypted_or_gone_gets_a_sentence(tmp_path: Path) -> None:
    content = bytearray(_zip(tmp_path, {"a.png": b"a"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path = tmp_path / "secret.zip"
    path.write_bytes(content)
    secret, gone = items([("secret.zip", path), ("a.png", tmp_path / "gone")])
    assert "password" in _problem(secret)
    assert "no longer here" in _problem(gone)


def test_a_rare_or_broken_compression_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "mixed.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("rare.png", b"r" * 50, zipfile.ZIP_DEFLATED)
        for name, way in (("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
            bundle.writestr(f"{name}.png", name * 50, way)
            bundle.writestr(f"{name}-broken.png", name * 50, way)
        entries = {entry.filename: entry for entry in bundle.infolist()}
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", content, content.index(signature) + offset, 9)  # of the first entry
    for name in ("bzip2-broken.png", "lzma-broken.png"):
        start = entries[name].header_offset + 30 + len(name) + 12
        content[start : start + 10] = bytes(10)
    path.write_bytes(content)
    found = dict(_read(path))
    assert "method 9;" in _problem(("", found.pop("rare.png")))
    for name in ("bzip2-broken.png", "lzma-broken.png"):
        assert "damaged" in _problem(("", found.pop(name)))
    assert found == {"bzip2.png": b"bzip2" * 50, "lzma.png": b"lzma" * 50}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("caf\u00e9.png", "cp437"),
        ("Stra\u00dfe M\u00fcller \u00e4\u00f6\u00fc.png", "cp437"),
        ("na\u00efve \u5199\u771f.png", "utf-8"),
        ("\u718a\u732b.png", "gbk"),  # panda
        ("\u6731\u9555\u57fa.png", "gbk"),  # a name with a letter that GB2312 lacks
        ("plain.png", "ascii"),
    ],
)
def test_names_are_shown_as_they_were_written(tmp_path: Path, name: str, encoding: str) -> None:
    """By programs that do not set the flag for UTF-8."""
    raw = name.encode(encoding)
    path = _zip(tmp_path, {"x" * len(raw): b"1"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    assert _read(path) == [(name, b"1")]
