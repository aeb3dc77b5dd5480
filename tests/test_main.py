"""Tests of `python -m model`: a line a picture, one message an error."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from conftest import ROOT
from PIL import Image

import model
from model import __main__ as program
from model.hub import from_pretrained, save_pretrained, snapshot
from model.hub.snapshot import default_model
from model.inference.calibration import Calibration
from model.inference.classifier import Classifier

NAMES = ["100% wool", "bee", "cat", "dog", "elk", "fox", "gnu"]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    network = timm.create_model("cifarnet_nano", num_classes=7, widths=(8, 8, 8), depths=(1, 1, 1))
    for name, colour in (("a.png", "red"), ("b c.jpg", "blue"), ("%.gif", "white")):
        Image.new("RGB", (50, 40), colour).save(tmp_path / name)
    (tmp_path / "junk.png").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "_silence_libraries", lambda: None)  # it would outlive the test
    return save_pretrained(network, tmp_path / "run", label_names=NAMES)


def test_a_line_a_picture(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = ["a.png", "b c.jpg", "%.gif"]
    for top, count in ([], 5), (["--top", "3"], 3), (["--top", "99"], 7):
        assert program.main([*images, "--model", str(saved), *top]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        for path, line in zip(images, shown.out.splitlines(), strict=True):
            answer = Classifier.from_pretrained(saved)(path)
            named = [f"{label} {share * 100:.1f} %" for label, share in answer.top(count)]
            assert line == f"{path}: {answer.sentence} ({', '.join(named)})"


def test_what_is_none_of_the_classes_is_only_close_to_them(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = from_pretrained(saved)
    extra = {"doubt": Calibration(known=1e5).to_dict()}
    save_pretrained(network, "strict", label_names=NAMES, extra=extra)
    program.main(["a.png", "--model", "strict", "--top", "1"])
    line = r"a\.png: None of the 7 classes\. \(closest: [\w% ]+ \d+\.\d %\)\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program.main(["--version"])
    assert capsys.readouterr().out == f"cifarnet {model.__version__}\n"


def test_patterns_that_a_shell_leaves_alone_are_filled_in(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (saved.parent / "[a].png").write_bytes((saved.parent / "a.png").read_bytes())
    assert program.main(["[a].png", "?.png", "*.jpg", "--model", str(saved)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["[a].png", "a.png", "b c.jpg"]
    assert program.main(["*.tiff", "--model", str(saved)]) == 1
    assert "*.tiff does not exist" in capsys.readouterr().err


def test_json_lines(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["a.png", "b c.jpg", "--model", str(saved), "--json", "--top", "2"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["image"] for row in rows] == ["a.png", "b c.jpg"]
    answer = Classifier.from_pretrained(saved)("a.png")
    assert rows[0]["label"] == answer.label
    assert rows[0]["probability"] == answer.probability
    assert rows[0]["probabilities"] == dict(answer.top(2))
    assert rows[0]["verdict"] == answer.verdict
    assert rows[0]["sentence"] == answer.sentence
    assert rows[0]["box"] == [5, 0, 45, 40]  # the centred square of 50 x 40 pixels


def test_bad_pictures_do_not_stop_the_others(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["gone.png", "a.png", "junk.png", "run", "%.gif"]
    assert program.main([*asked, "--model", str(saved)]) == 1
    shown = capsys.readouterr()
    assert [line.split(":")[0] for line in shown.out.splitlines()] == ["a.png", "%.gif"]
    errors = shown.err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("error: ") for line in errors)
    assert "gone.png does not exist" in errors[0]
    assert "junk.png is not a picture" in errors[1]
    assert "run is not a file" in errors[2]


def test_bad_models_are_one_message(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (saved / "model.safetensors").write_bytes(b"junk")
    for name in ("./nowhere", str(saved)):
        with pytest.raises(SystemExit) as caught:
            program.main(["a.png", "--model", name])
        assert caught.value.code == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("error: ")
        assert shown.err.count("\n") == 1


def test_default_model(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert default_model() == ROOT
    monkeypatch.setattr(snapshot, "ROOT", saved)
    assert program.main(["a.png"]) == 0
    assert capsys.readouterr().out.startswith("a.png: ")
    monkeypatch.setattr(snapshot, "ROOT", saved.parent)
    with pytest.raises(SystemExit) as caught:
        program.main(["a.png"])
    assert caught.value.code == 2
    assert "--model" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(saved: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    line = [sys.executable, "-m", "model", "a.png", "--model", "run"]
    done = subprocess.run(
        line, env=env, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
