"""Datasets in the hub's layout, made by the tests: columns, classes, splits, pixels."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Value
from datasets import Image as ImageType
from hub_layout import encoded, layout, pixels, save
from PIL import Image

from model import data
from model.utils.errors import DataError
from model.utils.images import read_square

REAL = os.environ.get("CIFARNET_TEST_DATA")
CARD = """---
dataset_info:
  features:
  - name: img
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': cat
          '1': dog
  splits:
  - name: train
    num_examples: 6
---
"""


def test_cifar10s_layout(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "cifar")))
    assert (source.image_column, source.label_column) == ("img", "label")
    assert source.label_names == ("a", "b", "c")
    assert source.name == "cifar"
    train = source.splits["train"].load()
    assert torch.equal(train.images, torch.from_numpy(pixels(30)).permute(0, 3, 1, 2))
    assert train.labels.tolist() == [i % 3 for i in range(30)]
    assert train.indices.tolist() == list(range(30))
    test = source.splits["test"].load()
    assert torch.equal(test.images, torch.from_numpy(pixels(30, seed=1)).permute(0, 3, 1, 2))
    assert len(train) == 30


def test_cifar100s_layout_prefers_fine_labels(tmp_path: Path) -> None:
    kinds = {
        "coarse_label": ClassLabel(names=["x", "y"]),
        "fine_label": ClassLabel(names=["p", "q", "r", "s"]),
    }
    folder = layout(tmp_path / "cifar100", labels=kinds)
    assert data.open_dataset(str(folder)).label_names == ("p", "q", "r", "s")
    coarse = data.open_dataset(str(folder), label_column="coarse_label")
    assert coarse.label_names == ("x", "y")
    assert coarse.labels("train").tolist() == [i % 2 for i in range(30)]


def test_fashion_mnists_layout_becomes_rgb_of_the_size(tmp_path: Path) -> None:
    folder = layout(tmp_path / "fashion", images="image", grey=True, size=28)
    source = data.open_dataset(str(folder))
    images = source.splits["train"].load().images
    assert images.shape == (30, 3, 32, 32)
    assert torch.equal(images[:, 0], images[:, 2])
    expected = Image.fromarray(pixels(1, 28, grey=True)[0]).convert("RGB")
    expected = expected.resize((32, 32), Image.Resampling.BICUBIC)
    found = images[0].permute(1, 2, 0).numpy().astype(int)
    assert abs(found - np.asarray(expected).astype(int)).max() <= 1


def test_string_labels_become_classes(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d", labels={"label": Value("string")})))
    assert source.label_names == ("kind 0", "kind 1", "kind 2")
    assert source.splits["train"].labels.tolist() == [i % 3 for i in range(30)]


def test_plain_numbers_become_classes_in_their_order(tmp_path: Path) -> None:
    columns = {"img": [encoded(x) for x in pixels(6)], "label": [11, 7, 3, 7, 11, 3]}
    save(tmp_path / "d", "train", columns, {"img": ImageType(), "label": Value("int64")})
    source = data.open_dataset(str(tmp_path / "d"), test_fraction=0.5)
    assert source.label_names == ("3", "7", "11")
    labels = torch.full((6,), -1)
    kept = source.splits["train"].load(), source.splits["test"].load()
    by_pixels = {x.tobytes(): i for i, x in enumerate(pixels(6))}
    for part in kept:
        for image, label in zip(part.images, part.labels, strict=True):
            labels[by_pixels[image.permute(1, 2, 0).numpy().tobytes()]] = label
    assert labels.tolist() == [2, 1, 0, 1, 2, 0]


def test_columns_are_preferred_by_name(tmp_path: Path) -> None:
    kinds = {name: ClassLabel(names=[name, "x"]) for name in ("coarse_label", "other", "label")}
    columns: dict[str, Any] = {name: [0, 1] * 3 for name in kinds}
    columns |= {name: [encoded(x) for x in pixels(6)] for name in ("mask", "image")}
    types = {"mask": ImageType(), "image": ImageType(), **kinds}
    save(tmp_path / "d", "train", columns, types)
    source = data.open_dataset(str(tmp_path / "d"))
    assert (source.image_column, source.label_column) == ("image", "label")
    named = data.open_dataset(str(tmp_path / "d"), image_column="mask", label_column="other")
    assert (named.image_column, named.label_column) == ("mask", "other")


def test_classes_described_in_the_readme(tmp_path: Path) -> None:
    """The names stand in the card's front matter only, as on the hub."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {"img": pa.array([encoded(x) for x in pixels(6)], image), "label": [0, 1] * 3}
    pq.write_table(pa.table(rows), tmp_path / "train.parquet")
    (tmp_path / "README.md").write_text(CARD)
    source = data.open_dataset(str(tmp_path))
    assert source.label_names == ("cat", "dog")
    assert len(source.splits["train"].load()) + len(source.splits["test"].load()) == 6


def test_jpeg_images_are_what_a_prediction_sees(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels(1, 50)[0]).save(buffer, "JPEG")
    content = buffer.getvalue()
    jpeg = {"bytes": content, "path": None}
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    save(tmp_path / "d", "train", {"img": [jpeg] * 4, "label": [0, 1] * 2}, types)
    image = data.open_dataset(str(tmp_path / "d")).splits["train"].load().images[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), read_square(content, 32))


def test_rows_may_be_asked_for_in_any_order_twice_or_not_at_all(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d")))
    rows = torch.tensor([7, 2, 7, 7, 29, 2])
    part = source.splits["train"].load(rows)
    assert torch.equal(part.images, torch.from_numpy(pixels(30))[rows].permute(0, 3, 1, 2))
    assert torch.equal(part.labels, rows % 3)
    none = torch.tensor([], dtype=torch.int64)
    assert source.splits["train"].load(none).images.shape == (0, 3, 32, 32)
    assert list(source.splits["train"].iter_batches(none, 4)) == []


def test_class_folders(shapes: Path) -> None:
    source = data.open_dataset(str(shapes))
    assert source.label_names == ("cross", "ring", "stripes")
    assert source.splits["train"].labels.bincount().tolist() == [80, 80, 80]
    test = source.splits["test"].load(torch.tensor([45, 0, 21]))
    assert test.labels.tolist() == [2, 0, 1]
    first = np.asarray(Image.open(shapes / "test" / "cross" / "000.png"))
    assert np.array_equal(test.images[1].permute(1, 2, 0).numpy(), first)


def test_without_a_test_split_a_stratified_part_of_train_becomes_it(shapes: Path) -> None:
    source = data.open_dataset(str(shapes / "train"), test_fraction=0.25)
    assert source.splits["train"].labels.bincount().tolist() == [60, 60, 60]
    assert source.splits["test"].labels.bincount().tolist() == [20, 20, 20]
    everything = {
        x.numpy().tobytes() for s in ("train", "test") for x in source.splits[s].load().images
    }
    assert len(everything) == 240
    again = source.splits["test"].load(torch.tensor([59, 3]))
    assert torch.equal(again.images, source.splits["test"].load().images[[59, 3]])


def test_a_validation_split_serves_as_test(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", splits=("train", "validation"))
    source = data.open_dataset(str(folder))
    assert torch.equal(
        source.splits["test"].load().images,
        torch.from_numpy(pixels(30, seed=1)).permute(0, 3, 1, 2),
    )


@pytest.mark.parametrize("size", [1, 7, 30, 100])
def test_pieces_are_the_whole_in_order(tmp_path: Path, size: int) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d")))
    wanted = torch.tensor([2, 3, 5, 8, 13, 21, 29])
    pieces = list(source.splits["train"].iter_batches(wanted, size))
    assert torch.equal(torch.cat([p.indices for p in pieces]), wanted)
    assert torch.equal(
        torch.cat([p.images for p in pieces]), source.splits["train"].load().images[wanted]
    )
    assert all(len(piece) == size for piece in pieces[:-1])


def test_fingerprints_tell_pixels_labels_and_names_apart(tmp_path: Path) -> None:
    base = data.open_dataset(str(layout(tmp_path / "a")))
    same = data.open_dataset(str(layout(tmp_path / "b")))
    kinds = {"label": ClassLabel(names=["a", "b", "d"])}
    renamed = data.open_dataset(str(layout(tmp_path / "c", labels=kinds)))
    prints = {s.splits["train"].fingerprint for s in (base, renamed)}
    assert base.fingerprint("train") == same.splits["train"].fingerprint
    assert len(prints) == 3


def test_the_test_split_is_not_read_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    source = data.open_dataset(str(folder))
    for shard in folder.glob("test-*"):
        shard.unlink()
    assert len(source.splits["train"].load()) == 30
    with pytest.raises(DataError, match="a file is missing or damaged"):
        source.splits["test"].load()


@pytest.mark.skipif(not REAL, reason="CIFARNET_TEST_DATA names no folder with CIFAR-10")
def test_real_cifar10() -> None:
    source = data.open_dataset(str(REAL))
    train = source.splits["train"].load()
    assert train.labels.bincount().tolist() == [5000] * 10
    mean, std = data.channel_statistics(train.images)
    # The values that every CIFAR-10 recipe quotes.
    assert mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-4)
    assert std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-4)
    assert source.label_names[3] == "cat"
