"""What an error advises is tried: it leads to a model, or to the next true sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import Here
from hub_layout import encoded
from PIL import Image

import train

PNG = encoded(np.zeros((32, 32, 3), np.uint8))["bytes"]
RUN = ["--recipe", "tiny", "--epochs", "1", "--batch-size", "8"]


@pytest.fixture
def told(train_here: Here) -> Callable[..., str]:
    """Trains in this process; what was said to a mistake, or "" where a model was saved."""

    def run(*arguments: object) -> str:
        code, out, said = train_here(*arguments)
        assert code == (0 if "Saved in" in out else 2)
        return said if code else ""

    return run


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Class folders: twelve pictures each of cats and dogs."""
    for hue, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(12):
            noise = np.random.default_rng(i).integers(0, 90, (32, 32, 3)) + 160 * hue
            image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
            image.save(tmp_path / "pets" / name / f"{i:02}.png")
    return tmp_path / "pets"


def test_a_picture_that_turns_bad_on_the_way(
    pets: Path, tmp_path: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are streamed, so that it is found in an epoch; the run goes on without it."""
    run, bad = tmp_path / "run", pets / "dog" / "05.png"
    good = bad.read_bytes()
    line = [*RUN, "--dataset", pets, "--output", run, "--cache-limit", "0", "--val-size", "0"]
    save = train.Run.save

    def save_and_damage(self: train.Run) -> None:
        save(self)
        bad.write_bytes(b"")

    with monkeypatch.context() as patched:
        patched.setattr(train.Run, "save", save_and_damage)
        # Of few images the first look finds all that are bad; of many it would not.
        patched.setattr(torch, "isin", lambda rows, found: torch.zeros_like(rows, dtype=torch.bool))
        said = told(*line)
    assert "05.png" in said
    assert "--max-bad-images" in said
    assert f"--resume {run}" in said
    # It is among the images that tell datasets apart: restored, as is advised, all is well.
    assert "fingerprint" in told("--resume", run, "--max-bad-images", "1")
    bad.write_bytes(good)
    assert told("--resume", run, "--max-bad-images", "1") == ""
    results = json.loads((run / "results.json").read_text())
    assert results["validation"] is results["calibration"] is None  # nothing was held back


def test_labels_that_cannot_be_saved(tmp_path: Path, told: Callable[..., str]) -> None:
    folder = tmp_path / "d"
    folder.mkdir()

    def write(names: list[str]) -> None:
        rows = {"image": [PNG] * 24, "label": names * (24 // len(names))}
        pq.write_table(pa.table(rows), folder / "train.parquet")

    line = [*RUN, "--dataset", folder, "--output", tmp_path / "run"]
    write(["", "cat", "dog"])
    assert "empty" in told(*line)
    write(["none", "cat", "dog"])
    assert told(*line) == ""


def test_a_run_of_another_dataset(pets: Path, tmp_path: Path, told: Callable[..., str]) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    assert told(*RUN, "--dataset", pets, "--output", first) == ""
    (pets / "dog" / "05.png").unlink()
    repeat = ["--from-config", first / "config.json", "--output", again]
    assert "--dataset" in told(*repeat)
    assert told(*repeat, "--dataset", pets) == ""
    assert "--from-config" in told(*repeat, "--recipe", "tiny")
    said = told("--from-config", pets / "dog", "--output", again)
    assert "dog" in said
