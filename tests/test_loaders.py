"""The split, the statistics, and the order of batches, in memory and streamed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel
from datasets import Image as ImageType
from hub_layout import encoded, layout, pixels, save

from model.data import (
    InMemoryLoader,
    Loader,
    StreamingLoader,
    channel_statistics,
    open_dataset,
    train_validation_split,
)
from model.utils import shards
from model.utils.errors import DataError
from model.utils.shards import LabelledImages


def images(count: int) -> LabelledImages:
    noise = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return LabelledImages(noise, torch.arange(count) % 7, torch.arange(count) + 1000)


def rows_of(loader: Loader, epoch: int) -> torch.Tensor:
    """Indices of an epoch, (steps, b)."""
    return torch.stack([indices for _, _, indices in loader.epoch(epoch)])


@pytest.mark.parametrize("size", [0, 1, 7, 33, 90])
def test_the_validation_split_is_stratified_and_exact(size: int) -> None:
    labels = torch.tensor([0] * 61 + [1] * 29 + [5] * 10)[torch.randperm(100)]
    train, held = train_validation_split(labels, size, seed=3)
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(100))
    shares = labels[held].bincount(minlength=6)
    for label, count in ((0, 61), (1, 29), (5, 10)):
        assert abs(int(shares[label]) - count * size / 100) < 1
    assert torch.equal(held, train_validation_split(labels, size, seed=3)[1])
    if size == 33:
        assert not torch.equal(held, train_validation_split(labels, size, seed=4)[1])


def test_statistics_are_those_of_numpy() -> None:
    some = torch.randint(0, 256, (5000, 3, 4, 4), dtype=torch.uint8)
    mean, std = channel_statistics(some)
    values = some.numpy().astype(np.float64) / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)), abs=1e-12)
    assert std == pytest.approx(values.std((0, 2, 3)), abs=1e-12)
    flat = channel_statistics(torch.full((10, 3, 4, 4), 51, dtype=torch.uint8))
    assert flat == (pytest.approx((0.2, 0.2, 0.2)), pytest.approx([1 / 255] * 3))  # never 0


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    whole = images(60)
    loader = InMemoryLoader(whole, 20, seed=0)
    first, second, again = (rows_of(loader, epoch) for epoch in (0, 1, 0))
    assert first.shape == (loader.steps, 20) == (3, 20)
    assert sorted(first.flatten().tolist()) == whole.indices.tolist()
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    for pictures, labels, rows in loader.epoch(5):
        assert torch.equal(pictures, whole.images[rows - 1000])
        assert torch.equal(labels, whole.labels[rows - 1000])


def test_a_last_batch_that_is_not_full_is_left_out_but_tiny_data_still_trains() -> None:
    assert InMemoryLoader(images(59), 20, seed=0).steps == 2
    assert rows_of(InMemoryLoader(images(5), 20, seed=0), 0).shape == (1, 5)
    with pytest.raises(DataError, match="No training image"):
        InMemoryLoader(images(0), 20, seed=0)


@pytest.mark.parametrize(
    ("world", "buffer"), [(2, None), (3, None), (2, 1), (3, 13), (4, 13), (2, 1000)]
)
def test_processes_share_the_same_global_batches(
    tmp_path: Path, world: int, buffer: int | None
) -> None:
    """In memory (None) or with a buffer of any size; rows that are not asked for stay out."""
    split = open_dataset(str(layout(tmp_path / "d"))).splits["train"]
    wanted = torch.tensor([i for i in range(30) if i % 5])  # 24 of 30

    def loader(rank: int, world: int) -> Loader:
        order: Any = dict(seed=1, rank=rank, world_size=world)
        if buffer is None:
            return InMemoryLoader(split.load(wanted), 12, **order)
        return StreamingLoader(split, wanted, 12, buffer_size=buffer, **order)

    alone = rows_of(loader(0, 1), 2)
    assert torch.equal(alone.flatten().sort().values, wanted)
    together = torch.cat([rows_of(loader(rank, world), 2) for rank in range(world)], dim=1)
    assert torch.equal(together, alone)


def check_mixed(rows: torch.Tensor, labels: torch.Tensor) -> None:
    """Batches (epochs, steps, b) of three equal classes that tell nothing of the place of a row."""
    count = rows[0].numel()
    place = torch.arange(count).expand(len(rows), -1)
    both = torch.stack([place.flatten(), rows.flatten()]).double()
    assert abs(torch.corrcoef(both)[0, 1]) < 0.15
    # Rows drawn from anywhere deviate by N / sqrt(12) from their mean, in every single batch.
    assert float(rows.double().std(2).mean()) > 0.9 * count / 12**0.5
    shares = torch.stack([labels[batch].bincount(minlength=3) for batch in rows.flatten(0, 1)])
    size = rows.shape[2]  # the deviation is the hypergeometric distribution's
    expected = (size * 2 / 9 * (count - size) / (count - 1)) ** 0.5
    assert float(shares.double().std()) == pytest.approx(expected, abs=0.6)


def test_streamed_batches_have_the_distribution_of_those_in_memory(shapes: Path) -> None:
    split = open_dataset(str(shapes)).splits["train"]
    every = split.load()
    for loader in (
        InMemoryLoader(every, 40, seed=0),
        StreamingLoader(split, torch.arange(240), 40, seed=0),
    ):
        epochs = torch.stack([rows_of(loader, epoch) for epoch in range(10)])  # (10, 6, 40)
        assert torch.equal(epochs.flatten(1).sort().values, torch.arange(240).expand(10, 240))
        check_mixed(epochs, every.labels)
    for pictures, labels, rows in loader.epoch(0):
        assert torch.equal(pictures, every.images[rows])
        assert torch.equal(labels, every.labels[rows])


@pytest.mark.parametrize("most", [256, 20])
def test_a_buffer_smaller_than_the_dataset_still_mixes_it(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of files come in another order: batches draw on all of the dataset, not on one end."""
    monkeypatch.setattr(shards, "MOST_SHARDS", most)
    labels = np.random.default_rng(0).permutation(np.arange(600) % 3).tolist()
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b", "c"])}
    columns = {"img": [encoded(x) for x in pixels(600, 4)], "label": labels}
    save(tmp_path / "d", "train", columns, types, group=10)
    split = open_dataset(str(tmp_path / "d"), test_fraction=0).splits["train"]
    assert len(split.shards) == min(60, most)
    loader = StreamingLoader(split, torch.arange(600), 60, seed=0, buffer_size=120)
    check_mixed(torch.stack([rows_of(loader, epoch) for epoch in range(8)]), split.labels)


def test_files_sorted_into_class_folders_are_mixed_beyond_the_buffer(shapes: Path) -> None:
    """Only their paths are kept, so that 20 encoded images' worth of buffer holds all 240."""
    split = open_dataset(str(shapes)).splits["train"]
    for _, labels, _ in StreamingLoader(split, torch.arange(240), 40, seed=0, buffer_size=20).epoch(
        0
    ):
        assert int(labels.bincount(minlength=3).min()) >= 3
