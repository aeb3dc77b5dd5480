"""A run whose disk fills up, or whose files or data are damaged, between its start and its end."""

import shutil
from pathlib import Path

import pytest
from conftest import QUICK, Here

import train
from model.checkpoint import NAME
from model.utils import files

WEIGHTS = "model.safetensors"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.fixture
def broken_off(
    shapes: Path, train_here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A run whose disk was full after the first epoch, and its data, a copy of the shapes."""
    data, run = shutil.copytree(shapes, tmp_path / "shapes"), tmp_path / "run"
    save = train.Run.save

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:

        def save_and_fill(self: train.Run) -> None:
            save(self)
            if self.trainer.epochs_done == 1:
                patched.setattr("os.fsync", full)

        patched.setattr(train.Run, "save", save_and_fill)
        code, _, said = train_here("--dataset", data, "--output", run, *QUICK)
    assert code == 2
    assert said.count("error: ") == 1
    assert "free disk space" in said
    assert f"--resume {run}" in said
    return run, data


def test_a_full_disk_costs_no_more_than_the_epoch_that_was_not_saved(
    broken_off: tuple[Path, Path], trained: Path, train_here: Here
) -> None:
    run, _ = broken_off
    assert train_here("--resume", run)[0] == 0
    assert (run / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()
    assert not files.unfinished(run)


def test_a_damaged_checkpoint_is_one_message(
    broken_off: tuple[Path, Path], train_here: Here
) -> None:
    run, _ = broken_off
    whole = (run / NAME).read_bytes()
    for damage in (truncate, flip):
        (run / NAME).write_bytes(whole)
        damage(run / NAME)
        before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
        code, _, said = train_here("--resume", run)
        assert (code, said.count("\n")) == (2, 1)
        assert f"{NAME} is damaged" in said
        assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_damaged_log_and_config_are_written_anew(
    trained: Path, train_here: Here, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    truncate(run / "log.jsonl")
    flip(run / "config.json")
    assert train_here("--resume", run)[0] == 0
    for name in ("log.jsonl", "config.json", WEIGHTS):
        assert (run / name).read_bytes() == (trained / name).read_bytes()


def test_data_that_is_damaged_meanwhile_costs_no_checkpoint(
    broken_off: tuple[Path, Path], shapes: Path, train_here: Here
) -> None:
    run, data = broken_off
    before = (run / NAME).read_bytes()

    def undecodable() -> None:
        (data / "train" / "ring" / "007.png").write_bytes(b"no picture")

    def shorter() -> None:
        for path in sorted((data / "train" / "stripes").iterdir())[40:]:
            path.unlink()

    def without_a_class() -> None:
        shutil.rmtree(data / "train" / "ring")

    for damage, named in (
        (undecodable, "Image 87 of the train split"),  # 80 crosses come first
        (shorter, "fingerprint"),
        (without_a_class, "'ring'"),
    ):
        damage()
        code, _, said = train_here("--resume", run)
        assert (code, said.count("error: ")) == (2, 1)
        assert named in said
        assert (run / NAME).read_bytes() == before
        shutil.rmtree(data)
        shutil.copytree(shapes, data)
