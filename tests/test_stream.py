"""Batches that are read from the stream in every epoch: same distribution, shared by processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel
from datasets import Image as ImageType
from hub_layout import encoded, layout, pixels, save

from model import data
from model.utils.errors import DataError


def test_streamed_batches_have_the_distribution_of_cached_ones(shapes: Path) -> None:
    """Every image once an epoch, in an order that tells nothing of the place, classes mixed."""
    source = data.open_dataset(str(shapes))
    every = source.splits["train"].load()
    cached = data.InMemoryLoader(every, 40, seed=0)
    streamed = data.StreamingLoader(source.splits["train"], torch.arange(240), 40, seed=0)
    assert streamed.steps == cached.steps == 6
    shares, seen = {}, {}
    for name, batches in (("cached", cached), ("streamed", streamed)):
        rows, mixed = [], []
        for epoch in range(10):
            for images, labels, indices in batches.epoch(epoch):
                assert torch.equal(images, every.images[indices])
                assert torch.equal(labels, every.labels[indices])
                mixed.append(labels.bincount(minlength=3).double())
                rows.append(indices)
        order = torch.cat(rows).view(10, 240)
        assert torch.equal(order.sort(1).values, torch.arange(240).expand(10, 240))
        ranks = torch.stack([torch.arange(240).expand(10, 240), order]).flatten(1).double()
        assert abs(torch.corrcoef(ranks)[0, 1]) < 0.1
        shares[name] = torch.stack(mixed)
        seen[name] = order
    # A batch of 40 from 3 x 80 without replacement: mean 40/3, hypergeometric deviation 2.72.
    for counts in shares.values():
        assert counts.mean(0).tolist() == pytest.approx([40 / 3] * 3, abs=1e-9)
        assert float(counts.std()) == pytest.approx(2.72, abs=0.6)
    assert not torch.equal(seen["streamed"][0], seen["streamed"][1])


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("buffer", [1, 13, 1000])
def test_streams_are_shared_by_processes(tmp_path: Path, world: int, buffer: int) -> None:
    """Two shards, any number of processes: every wanted image once, equal steps."""
    source = data.open_dataset(str(layout(tmp_path / "d")))
    wanted = torch.tensor([i for i in range(30) if i % 5])  # 24 of 30
    ranks = [
        data.StreamingLoader(
            source.splits["train"],
            wanted,
            12,
            seed=0,
            rank=rank,
            world_size=world,
            buffer_size=buffer,
        )
        for rank in range(world)
    ]
    rows = [torch.stack([i for _, _, i in batches.epoch(3)]) for batches in ranks]
    assert all(part.shape == (2, 12 // world) for part in rows)
    assert torch.equal(torch.cat([r.flatten() for r in rows]).sort().values, wanted)
    again = torch.stack([i for _, _, i in ranks[0].epoch(3)])
    assert torch.equal(again, rows[0])


def test_a_buffer_smaller_than_the_dataset_still_mixes_it(tmp_path: Path) -> None:
    """Parts of files come in another order: batches draw on all of the dataset, not on one end."""
    labels = np.random.default_rng(0).permutation(np.arange(600) % 3).tolist()
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b", "c"])}
    images = [encoded(x) for x in pixels(600, 4)]
    save(tmp_path / "d", "train", {"img": images, "label": labels}, types, group=10)
    source = data.open_dataset(str(tmp_path / "d"), test_fraction=0.01)
    count = len(source.splits["train"].labels)
    batches = data.StreamingLoader(
        source.splits["train"], torch.arange(count), 60, seed=0, buffer_size=120
    )
    epochs = [list(batches.epoch(epoch)) for epoch in range(8)]
    rows = torch.stack([torch.stack([i for _, _, i in batch]) for batch in epochs]).double()
    place = torch.arange(rows[0].numel()).expand(8, -1)
    correlation = torch.corrcoef(torch.stack([place.flatten(), rows.flatten()]))[0, 1]
    assert abs(correlation) < 0.15
    # Rows drawn from anywhere deviate by N / sqrt(12) from their mean, in every single batch.
    assert float(rows.std(2).mean()) > 0.9 * count / 12**0.5
    shares = torch.stack([y.bincount(minlength=3) for batch in epochs for _, y, _ in batch])
    assert float(shares.double().std()) == pytest.approx((60 * 2 / 9 * 0.9) ** 0.5, abs=0.6)


def test_files_sorted_into_class_folders_are_mixed_beyond_the_buffer(shapes: Path) -> None:
    """Only their paths are kept, so that 20 encoded images' worth of buffer holds all 240."""
    source = data.open_dataset(str(shapes))
    batches = data.StreamingLoader(
        source.splits["train"], torch.arange(240), 40, seed=0, buffer_size=20
    )
    for _, labels, _ in batches.epoch(0):
        assert int(labels.bincount(minlength=3).min()) >= 3


def test_an_unreadable_image_ends_the_epoch_with_its_name(tmp_path: Path) -> None:
    images = [encoded(x) for x in pixels(8)]
    images[5]["bytes"] = b"no image"
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    for split in ("train", "test"):
        save(tmp_path / "d", split, {"img": images, "label": [0, 1] * 4}, types)
    source = data.open_dataset(str(tmp_path / "d"))
    with pytest.raises(DataError, match="Image 5 of the train split"):
        list(data.StreamingLoader(source.splits["train"], torch.arange(8), 4, seed=0).epoch(0))
