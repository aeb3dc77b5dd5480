"""The split, the statistics and the order of batches, on labels and images counted by hand."""

import numpy as np
import pytest
import torch

from model.data import InMemoryLoader, channel_statistics, train_validation_split
from model.utils.shards import LabelledImages


def split(count: int) -> LabelledImages:
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return LabelledImages(images, torch.arange(count) % 7, torch.arange(count) + 1000)


def test_the_validation_split_is_stratified_and_exact() -> None:
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[torch.randperm(100)]
    train, held = train_validation_split(labels, 10, seed=3)
    assert labels[held].bincount().tolist() == [5, 3, 2]
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(100))
    again = train_validation_split(labels, 10, seed=3)
    assert torch.equal(held, again[1])
    assert not torch.equal(held, train_validation_split(labels, 10, seed=4)[1])


@pytest.mark.parametrize("size", [0, 1, 7, 33, 99, 100])
def test_every_size_is_met_exactly(size: int) -> None:
    labels = torch.tensor([0] * 61 + [1] * 29 + [5] * 10)
    train, held = train_validation_split(labels, size, seed=0)
    assert (len(train), len(held)) == (100 - size, size)
    shares = labels[held].bincount(minlength=6)
    for label, count in ((0, 61), (1, 29), (5, 10)):
        assert abs(int(shares[label]) - count * size / 100) < 1


def test_statistics_are_those_of_numpy() -> None:
    images = torch.randint(0, 256, (5000, 3, 4, 4), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    values = images.numpy().astype(np.float64) / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)), abs=1e-12)
    assert std == pytest.approx(values.std((0, 2, 3)), abs=1e-12)


def test_flat_channels_are_not_divided_by_zero() -> None:
    mean, std = channel_statistics(torch.full((10, 3, 4, 4), 51, dtype=torch.uint8))
    assert mean == pytest.approx((0.2, 0.2, 0.2))
    assert min(std) > 0


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    data = split(60)
    batches = InMemoryLoader(data, 20, seed=0)
    assert batches.steps == 3
    orders = [torch.cat([rows for _, _, rows in batches.epoch(epoch)]) for epoch in (0, 1, 0)]
    assert sorted(orders[0].tolist()) == data.indices.tolist()
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0], orders[2])
    for images, labels, rows in batches.epoch(5):
        assert torch.equal(images, data.images[rows - 1000])
        assert torch.equal(labels, data.labels[rows - 1000])


def test_a_last_batch_that_is_not_full_is_left_out_but_tiny_data_still_trains() -> None:
    assert InMemoryLoader(split(59), 20, seed=0).steps == 2
    tiny = InMemoryLoader(split(5), 20, seed=0)
    assert tiny.steps == 1
    assert len(next(iter(tiny.epoch(0)))[1]) == 5


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_the_same_global_batches(world: int) -> None:
    data = split(48)
    one = [rows for _, _, rows in InMemoryLoader(data, 24, seed=1).epoch(2)]
    ranks = [
        [rows for _, _, rows in InMemoryLoader(data, 24, seed=1, rank=r, world_size=world).epoch(2)]
        for r in range(world)
    ]
    for step, whole in enumerate(one):
        assert torch.equal(torch.cat([rank[step] for rank in ranks]), whole)
