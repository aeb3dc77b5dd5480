"""A run whose own files, or whose data, are damaged between an interruption and its end."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import QUICK, SIGKILL, Program, kill_when

from model.checkpoint import NAME

pytestmark = pytest.mark.slow


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_checkpoint_is_one_message(
    damage: Callable[[Path], None], trained: Path, program: Program, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    damage(run / NAME)
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    done = program("train.py", "--resume", run)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"{NAME} is damaged" in done.stderr
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_damaged_log_and_config_are_written_anew(
    trained: Path, program: Program, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    truncate(run / "log.jsonl")
    flip(run / "config.json")
    done = program("train.py", "--resume", run)
    assert done.returncode == 0, done.stderr
    for name in ("log.jsonl", "config.json", "model.safetensors"):
        assert (run / name).read_bytes() == (trained / name).read_bytes()


def test_data_that_is_damaged_meanwhile_costs_no_checkpoint(
    shapes: Path, trained: Path, program: Program, tmp_path: Path
) -> None:
    data, run = shutil.copytree(shapes, tmp_path / "shapes"), tmp_path / "run"
    log = run / "log.jsonl"
    line: list[str | Path] = ["train.py", "--dataset", data, "--output", run, *QUICK]
    kill_when(line, lambda: log.is_file() and bool(log.read_text()), SIGKILL)
    before = (run / NAME).read_bytes()

    def undecodable() -> None:
        (data / "train" / "ring" / "007.png").write_bytes(b"no picture")

    def shorter() -> None:
        for path in sorted((data / "train" / "stripes").iterdir())[40:]:
            path.unlink()

    def without_a_class() -> None:
        shutil.rmtree(data / "train" / "ring")

    for damage, message in (
        (undecodable, "Image 87 of the train split"),  # 80 crosses come first
        (shorter, "fingerprint differs"),
        (without_a_class, "pictures of 'ring' to test on, but none to train on"),
    ):
        damage()
        done = program("train.py", "--resume", run)
        assert done.returncode == 2
        assert done.stderr.count("error: ") == 1
        assert "Traceback" not in done.stderr
        assert message in done.stderr
        assert (run / NAME).read_bytes() == before
        shutil.rmtree(data)
        shutil.copytree(shapes, data)
    done = program("train.py", "--resume", run)
    assert done.returncode == 0, done.stderr
    weights = "model.safetensors"
    assert (run / weights).read_bytes() == (trained / weights).read_bytes()
