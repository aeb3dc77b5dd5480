"""Tests of model.utils: whole files or none, one message an error, a run's folder taken once."""

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from model.utils import errors, files, folder
from model.utils.errors import ConfigError, TrainingError


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


def test_a_folder_that_stays_empty_does_not_stay_and_one_that_cannot_be_reopened_is_not_made(
    tmp_path: Path,
) -> None:
    with folder.claim(tmp_path / "a" / "b", resume=False):
        pass
    name = os.fsdecode(b"caf\xe9") if os.name == "posix" else "caf\udce9"
    with pytest.raises(ConfigError, match="UTF-8"), folder.claim(tmp_path / name, resume=False):
        pytest.fail("it was taken")
    assert os.listdir(tmp_path) == []
