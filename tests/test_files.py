"""Tests of model.utils.files and model.utils.errors: whole files or none, one message an error."""

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from model.utils import errors, files
from model.utils.errors import ConfigError


def disk_full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_writes_what_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files.write_bytes(path, b"\0\r\n\xff")
    assert path.read_bytes() == b"\0\r\n\xff"
    files.write_text(path, "zwölf\n")
    assert path.read_bytes() == b"zw\xc3\xb6lf\n"
    files.write_json(path, {"b": [1, 2.5], "a": None})
    assert path.read_text() == '{\n  "b": [\n    1,\n    2.5\n  ],\n  "a": null\n}\n'
    assert files.read_json(path) == {"b": [1, 2.5], "a": None}
    assert os.listdir(tmp_path) == ["data"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    files.write_text(path, "old")
    monkeypatch.setattr(files.os, step, disk_full)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["data"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "data", {"loss": value})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "a JSON list"),
        (b"null", "a JSON NoneType"),
        (None, "No such file"),
    ],
)
def test_broken_json_is_named(content: bytes | None, part: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=part) as caught:
        files.read_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.DataError("No such data."), "error: No such data.\n"),
        (OSError(28, "No space left", "/x"), "error: No space left (/x). Check free disk space"),
        (OSError("odd"), "error: odd. Check"),
    ],
)
def test_exit_on_error(error: Exception, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        raise error
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(message)
    assert shown.out == ""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_cannot_be_encoded_is_printed_as_escapes(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    for name, where in (("stdout", out), ("stderr", err)):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(where, encoding, "strict", "\n"))

    def fail() -> None:
        print("\u732b caf\udce9", flush=True)  # a cat; a name that is not UTF-8
        raise errors.DataError("\udce9")

    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        fail()
    sys.stderr.flush()
    assert caught.value.code == 2
    assert out.getvalue() == "\u732b".encode(encoding, "backslashreplace") + b" caf\\udce9\n"
    assert err.getvalue() == b"error: \\udce9\n"


def test_bugs_keep_their_traceback_and_say_what_to_send(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        raise ZeroDivisionError
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError" in said
    assert "please report it" in said
    assert "torch 2." in said


def test_a_missing_package_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        importlib.import_module("no_such_package")
    assert caught.value.code == 2
    assert "no_such_package is missing: pip install -r" in capsys.readouterr().err
