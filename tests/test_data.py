"""Datasets in the hub's layout or generated: columns, classes, splits, pixels."""

import io
import os
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Value
from datasets import Image as ImageType
from hub_layout import encoded, layout, pixels, save
from hub_state import Hub
from PIL import Image

from model.data import channel_statistics, load_outliers, open_dataset
from model.utils.images import read_square
from model.utils.synthetic import NAMES

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


def stored(seed: int = 0) -> torch.Tensor:
    """The images of `layout`, uint8 (30, 3, 32, 32)."""
    return torch.from_numpy(pixels(30, seed=seed)).permute(0, 3, 1, 2)


def test_cifar10s_layout(tmp_path: Path) -> None:
    dataset = open_dataset(str(layout(tmp_path / "cifar")))
    assert (dataset.image_column, dataset.label_column) == ("img", "label")
    assert (dataset.name, dataset.label_names) == ("cifar", ("a", "b", "c"))
    for seed, split in enumerate(("train", "test")):
        loaded = dataset.splits[split].load()
        assert torch.equal(loaded.images, stored(seed))
        assert loaded.labels.tolist() == [i % 3 for i in range(30)]
        assert loaded.indices.tolist() == list(range(30))


def test_a_dataset_on_the_hub_is_downloaded_once(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layout(tmp_path / "d")
    hub.add("you/shapes", {p.name: p.read_bytes() for p in folder.iterdir()}, kind="dataset")
    dataset = open_dataset("you/shapes")
    here = open_dataset(str(folder))
    assert dataset.name == "you/shapes"
    assert dataset.splits["train"].fingerprint == here.splits["train"].fingerprint
    sent = [line for line in hub.asked if "GET" in line and ".parquet" in line]
    assert len(sent) == len(list(folder.glob("*.parquet")))
    open_dataset("you/shapes")
    assert sent == [line for line in hub.asked if "GET" in line and ".parquet" in line]
    asked = len(hub.asked)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    again = open_dataset("you/shapes").splits["train"]
    assert (again.fingerprint, len(hub.asked)) == (here.splits["train"].fingerprint, asked)


def test_fashion_mnists_layout_becomes_rgb_of_the_size(tmp_path: Path) -> None:
    folder = layout(tmp_path / "fashion", images="image", grey=True, size=28)
    images = open_dataset(str(folder)).splits["train"].load().images
    assert images.shape == (30, 3, 32, 32)
    assert torch.equal(images[:, 0], images[:, 2])
    expected = Image.fromarray(pixels(1, 28, grey=True)[0]).convert("RGB")
    expected = expected.resize((32, 32), Image.Resampling.BICUBIC)
    found = images[0].permute(1, 2, 0).numpy().astype(int)
    assert abs(found - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("kind", "labels", "names"),
    [
        ("int64", [11, 7, 3, 7, 11, 3], ("3", "7", "11")),
        ("string", ["c", "b", "a", "b", "c", "a"], ("a", "b", "c")),
        ("float64", [2.0, 1.0, 0.0, 1.0, 2.0, 0.0], ("0", "1", "2")),
        ("bool", [True, False] * 3, ("False", "True")),
    ],
)
def test_numbers_and_strings_become_classes_in_their_order(
    kind: str, labels: list, names: tuple[str, ...], tmp_path: Path
) -> None:
    columns = {"img": [encoded(x) for x in pixels(6)], "label": labels}
    save(tmp_path / "d", "train", columns, {"img": ImageType(), "label": Value(kind)})
    dataset = open_dataset(str(tmp_path / "d"), test_fraction=0)
    assert dataset.label_names == names
    known = sorted(set(labels))
    assert dataset.splits["train"].labels.tolist() == [known.index(x) for x in labels]


@pytest.mark.parametrize("preferred", ["label", "fine_label"])
def test_columns_are_preferred_by_name(tmp_path: Path, preferred: str) -> None:
    kinds = {name: ClassLabel(names=[name, "x"]) for name in ("coarse_label", "other", preferred)}
    columns: dict[str, Any] = {name: [0, 1] * 3 for name in kinds}
    columns |= {name: [encoded(x) for x in pixels(6)] for name in ("mask", "image")}
    types = {"mask": ImageType(), "image": ImageType(), **kinds}
    save(tmp_path / "d", "train", columns, types)
    found = open_dataset(str(tmp_path / "d"))
    assert (found.image_column, found.label_column) == ("image", preferred)
    assert found.label_names == (preferred, "x")
    named = open_dataset(str(tmp_path / "d"), image_column="mask", label_column="other")
    assert (named.image_column, named.label_column) == ("mask", "other")


def test_classes_described_in_the_readme(tmp_path: Path) -> None:
    """The names stand in the card's front matter only, as on the hub."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {"img": pa.array([encoded(x) for x in pixels(6)], image), "label": [0, 1] * 3}
    pq.write_table(pa.table(rows), tmp_path / "train.parquet")
    (tmp_path / "README.md").write_text(CARD)
    dataset = open_dataset(str(tmp_path))
    assert dataset.label_names == ("cat", "dog")
    assert sum(len(split.load()) for split in dataset.splits.values()) == 6


def test_jpeg_images_are_what_a_prediction_sees(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels(1, 50)[0]).save(buffer, "JPEG")
    jpeg = {"bytes": buffer.getvalue(), "path": None}
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    save(tmp_path / "d", "train", {"img": [jpeg] * 4, "label": [0, 1] * 2}, types)
    image = open_dataset(str(tmp_path / "d")).splits["train"].load().images[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), read_square(buffer.getvalue(), 32))


def test_rows_in_any_order_twice_or_not_at_all(tmp_path: Path) -> None:
    split = open_dataset(str(layout(tmp_path / "d"))).splits["train"]
    rows = torch.tensor([7, 2, 7, 7, 29, 2])
    some = split.load(rows)
    assert torch.equal(some.images, stored()[rows])
    assert torch.equal(some.labels, rows % 3)
    none = torch.tensor([], dtype=torch.int64)
    assert split.load(none).images.shape == (0, 3, 32, 32)
    assert list(split.iter_batches(none, 4)) == []


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pieces_are_the_whole_in_order(tmp_path: Path, size: int) -> None:
    split = open_dataset(str(layout(tmp_path / "d"))).splits["train"]
    wanted = torch.tensor([2, 3, 5, 8, 13, 21, 29])
    pieces = list(split.iter_batches(wanted, size))
    assert torch.equal(torch.cat([p.indices for p in pieces]), wanted)
    assert torch.equal(torch.cat([p.images for p in pieces]), stored()[wanted])
    assert all(len(piece) == size for piece in pieces[:-1])


def test_without_a_test_split_a_stratified_part_of_train_becomes_it(shapes: Path) -> None:
    splits = open_dataset(str(shapes / "train"), test_fraction=0.25).splits
    assert splits["train"].labels.bincount().tolist() == [60, 60, 60]
    assert splits["test"].labels.bincount().tolist() == [20, 20, 20]
    everything = {x.numpy().tobytes() for s in splits.values() for x in s.load().images}
    assert len(everything) == 240
    again = splits["test"].load(torch.tensor([59, 3]))
    assert torch.equal(again.images, splits["test"].load().images[[59, 3]])
    assert open_dataset(str(shapes / "train"), test_fraction=0).splits.keys() == {"train"}


def test_outliers_are_of_other_classes_and_no_test_split_is_taken_from_them(shapes: Path) -> None:
    here = torch.device("cpu")
    drawn = load_outliers("synthetic", ["ring"], 32, here)
    found = load_outliers(str(shapes / "train"), ["ring"], 32, here)
    assert drawn.shape == (3600 + 4000, 3, 32, 32)  # shapes, and noise
    assert drawn[3600:].flatten(1).float().std(1).mean() > 10
    larger = load_outliers("synthetic", ["ring"], 48, here)
    assert larger.shape == (7600, 3, 48, 48)
    assert found.shape == (160 + 160 // 5, 3, 32, 32)
    shapes_are_classes = load_outliers("synthetic", [name.title() for name in NAMES], 32, here)
    assert torch.equal(shapes_are_classes, drawn[3600:])


def test_a_validation_split_serves_as_test_and_is_not_read_before(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", splits=("train", "validation"))
    dataset = open_dataset(str(folder))
    assert torch.equal(dataset.splits["test"].load().images, stored(1))
    dataset = open_dataset(str(folder))
    for shard in folder.glob("validation-*"):
        shard.unlink()
    assert len(dataset.splits["train"].load()) == 30


def test_fingerprints_tell_pixels_labels_and_names_apart(tmp_path: Path) -> None:
    kinds = {"label": ClassLabel(names=["a", "b", "d"])}
    base, same = (open_dataset(str(layout(tmp_path / name))).splits for name in "ab")
    renamed = open_dataset(str(layout(tmp_path / "c", labels=kinds))).splits
    # The value that configuration cards and results have held since the first release.
    expected = "d4507c2f1a27f1d3ce385b87cb0226db8d554a8a948ab024297f79191275b26b"
    assert base["train"].fingerprint == same["train"].fingerprint == expected
    assert len({s.fingerprint for s in (base["train"], base["test"], renamed["train"])}) == 3


@pytest.mark.skipif(not REAL, reason="CIFARNET_TEST_DATA names no folder with CIFAR-10")
def test_real_cifar10() -> None:
    dataset = open_dataset(str(REAL))
    train = dataset.splits["train"].load()
    assert train.labels.bincount().tolist() == [5000] * 10
    mean, std = channel_statistics(train.images)
    # The values that every CIFAR-10 recipe quotes.
    assert mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-4)
    assert std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-4)
    assert dataset.label_names[3] == "cat"


def test_the_mean_picture_of_a_class_does_not_give_it_away() -> None:
    """Comparing pixels with class means is near chance: a network has to look at shapes."""
    splits = open_dataset("synthetic").splits
    assert splits["train"].fingerprint == (
        "5bf419965c2e009a38761f080072533f0c1ad601a90bd1737fa57e3231c9c2b2"
    )
    train, test = splits["train"].load(), splits["test"].load()
    assert train.labels.bincount().tolist() == [400] * len(NAMES)
    assert test.labels.bincount().tolist() == [100] * len(NAMES)
    means = torch.stack(
        [train.images[train.labels == k].float().mean(0).flatten() for k in range(len(NAMES))]
    )
    nearest = torch.cdist(test.images.float().flatten(1), means).argmin(1)
    assert float((nearest == test.labels).float().mean()) < 0.3
    assert len({x.numpy().tobytes() for x in torch.cat([train.images, test.images])}) == 5000
