"""Datasets that cannot be found, reached or understood: each is one clear message."""

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow.parquet as pq
import pytest
import torch
from conftest import QUICK
from datasets import ClassLabel, Value
from datasets import Image as ImageType
from hub_layout import encoded, layout, loaded, pixels, save
from hub_state import Hub

import train
from model.data import StreamingLoader, open_dataset
from model.recipe import Recipe
from model.utils import streams
from model.utils.errors import DataError

TWO = ClassLabel(names=["a", "b"])


def small(folder: Path, labels: list, kind: Any = TWO, split: str = "train", **images: Any) -> str:
    """Writes one split with as many images as there are labels."""
    columns = {"img": [encoded(x) for x in pixels(len(labels))], "label": labels, **images}
    save(folder, split, columns, {"img": ImageType(), "label": kind})
    return str(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:60],
        lambda whole: whole[:-200],
        lambda whole: whole[:200] + bytes([whole[200] ^ 0x55]) + whole[201:],
        lambda whole: b"GIF89a" + whole,
        lambda whole: b"",
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    images = [encoded(x) for x in pixels(6)]
    images[4]["bytes"] = damage(images[4]["bytes"])
    name = small(tmp_path / "d", [0, 1] * 3, img=images)
    split = open_dataset(name, test_fraction=0).splits["train"]
    with pytest.raises(DataError, match="Image 4 of the train split"):
        split.load()
    with pytest.raises(DataError, match="Image 4 of the train split"):
        list(StreamingLoader(split, torch.arange(6), 3, seed=0).epoch(0))


@pytest.mark.parametrize("kind", [TWO, Value("int64")])
@pytest.mark.parametrize("label", [-1, None])
def test_labels_out_of_range_are_named(tmp_path: Path, label: int | None, kind: Any) -> None:
    with pytest.raises(DataError, match="Row 3 of the train split"):
        open_dataset(small(tmp_path / "d", [0, 1, 0, label, 0, 1], kind))
    with pytest.raises(DataError, match=r"1\.5"):  # no class
        open_dataset(small(tmp_path / "f", [0.0, 1.5] * 3, Value("float64")), label_column="label")


@pytest.mark.parametrize(
    ("kind", "train", "test"),
    [(TWO, [0, 1, 0], [0, 1, -1]), (Value("string"), ["x", "y", "x"], ["x", "y", "z"])],
)
def test_test_labels_that_are_not_known_do_not_keep_training_from_its_own(
    tmp_path: Path, kind: Any, train: list, test: list
) -> None:
    small(tmp_path / "d", test, kind, "test")
    splits = open_dataset(small(tmp_path / "d", train, kind)).splits
    assert splits["train"].labels.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match="Row 2 of the test split of d"):
        splits["test"].load()


def test_missing_columns_are_named(tmp_path: Path) -> None:
    folder = str(layout(tmp_path / "d"))
    with pytest.raises(DataError, match=r"'photo'.*img"):
        open_dataset(folder, image_column="photo")
    with pytest.raises(DataError, match=r"'kind'.*label"):
        open_dataset(folder, label_column="kind")
    with pytest.raises(DataError, match=r"label.*img"):
        open_dataset(str(layout(tmp_path / "bare", labels={})))
    save(tmp_path / "text", "train", {"label": [0, 1]}, {"label": TWO})
    with pytest.raises(DataError, match=r"image.*label"):
        open_dataset(str(tmp_path / "text"))


def test_classes_that_cannot_be_trained_on_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only"):
        open_dataset(small(tmp_path / "one", [0] * 4, ClassLabel(names=["only"])))
    name = small(tmp_path / "d", [0, 2] * 3, ClassLabel(names=["ant", "bee", "cat"]))
    with pytest.raises(DataError, match="bee"):
        loaded(name)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    for name in ("nowhere", "empty", "file"):
        with pytest.raises(DataError, match=name):
            open_dataset(str(tmp_path / name))
    for name in ("", "~/nowhere", "./nowhere", "caf\udce9"):
        with pytest.raises(DataError, match=rf"no folder {re.escape(repr(name))} .*--dataset"):
            open_dataset(name)


def test_a_damaged_file_is_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=tmp_path.name):
        open_dataset(str(tmp_path))
    assert "".join(capfd.readouterr()) == caplog.text == ""


def test_files_that_vanish_or_change_while_they_are_read(tmp_path: Path) -> None:
    split = open_dataset(str(layout(tmp_path / "d"))).splits["train"]
    assert len(split.labels) == 30
    first = tmp_path / "d" / "train-00000-of-00002.parquet"
    pq.write_table(pq.read_table(first).slice(0, 9), first)
    with pytest.raises(DataError, match="changed"):
        split.load()
    first.unlink()
    with pytest.raises(DataError, match="missing"):
        split.load()


def test_several_configurations_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        layout(tmp_path / name)
    configs = "".join(f"- config_name: {n}\n  data_files: {n}/*\n" for n in ("one", "two"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DataError, match="one, two"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "no folder 'nobody/nothing' here.*hf auth login"),
        ("refusing", "check the connection"),
        ("mute", "timed out.*check the connection"),
        ("offline", "HF_HUB_OFFLINE"),
    ],
)
def test_a_hub_that_does_not_help(
    hub: Hub, kind: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message, with the remedy, at once: no retries that take longer and longer."""
    monkeypatch.setattr(streams, "HUB_TIMEOUT", 0.5)
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", kind == "offline")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # nobody listens
        if kind == "mute":
            other.listen()  # but never answers
        if kind in ("refusing", "mute"):
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(DataError, match=message) as caught:
            open_dataset("nobody/nothing")
    assert "--dataset path/to/folder" in str(caught.value)


@pytest.fixture
def damaged(shapes: Path, tmp_path: Path) -> Path:
    """The shapes, three of which are no pictures; class folders come in their names' order."""
    shutil.copytree(shapes, tmp_path / "d")
    for name in ("cross/000.png", "ring/003.png", "ring/050.png"):  # rows 0, 83, 130
        (tmp_path / "d" / "train" / name).write_bytes(b"no picture")
    return tmp_path / "d"


@pytest.mark.parametrize("cached", [True, False])
def test_some_bad_images_may_be_left_out(damaged: Path, cached: bool) -> None:
    def load(most: int) -> Any:
        recipe = Recipe(batch_size=40, val_size=30)
        return loaded(str(damaged), recipe, cached=cached, max_bad_images=most)

    with pytest.raises(DataError, match=r"Image 0 of .*--max-bad-images"):
        load(0)
    with pytest.raises(DataError, match="after 2 others"):
        load(2)
    data = load(3)
    assert data.dataset.splits["train"].bad == {0, 83, 130}
    assert sum(data.sizes.values()) == 237
    rows = torch.cat([indices for _, _, indices in data.loader.epoch(0)])
    assert not {0, 83, 130} & set(rows.tolist())


def test_others_stand_in_for_bad_images_that_are_found_late(damaged: Path) -> None:
    split = open_dataset(str(damaged)).splits["train"]
    split.max_bad_images = 3
    for images, labels, indices in StreamingLoader(split, torch.arange(240), 40, seed=0).epoch(0):
        assert len(images) == len(labels) == len(indices) == 40
        assert not {0, 83, 130} & set(indices.tolist())


def test_a_run_tells_which_images_it_left_out(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--dataset", str(damaged), *QUICK, "--max-bad-images", "3", "--epochs", "1"]
    train.main([*line, "--output", str(tmp_path / "run")])
    assert "0, 83, 130" in capsys.readouterr().out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["training"]["bad_images"] == [0, 83, 130]
