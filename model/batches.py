"""Images in memory: the split into training and validation, statistics, and batches of an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Decoded images with their labels."""

    images: Tensor
    """uint8 (N, 3, S, S)."""
    labels: Tensor
    """int64 (N,)."""
    indices: Tensor
    """Row of each image in its split of the dataset, int64 (N,)."""

    def __len__(self) -> int:
        return len(self.labels)


class Batches(Protocol):
    """What training sees of a dataset."""

    steps: int
    """Batches of an epoch; a last batch that is not full is left out."""

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """This process's share of each batch: images uint8 (b, 3, S, S), labels, indices."""
        ...


def train_validation_split(labels: Tensor, val_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Holds back images at random, the same share of every class.

    Args:
        labels: int64 (N,).
        val_size: Images to hold back in all, at most N.
        seed: Decides which.

    Returns:
        Positions to train on and positions held back, both rising.
    """
    classes, counts = labels.unique(return_counts=True)
    exact = counts.double() * val_size / len(labels)
    share = exact.floor().long()
    # Largest remainder: what rounding down left over goes to the classes that lost most.
    left = (exact - share).sort(descending=True, stable=True).indices
    share[left[: val_size - int(share.sum())]] += 1
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label, count in zip(classes, share, strict=True):
        rows = (labels == label).nonzero().flatten()
        held[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, exact, in bounded memory.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        Two tuples of C numbers in [0, 1]; a channel without variation gets the deviation 1/255,
        so that nothing is divided by zero.
    """
    total = torch.zeros(images.shape[1], dtype=torch.int64)
    squares = torch.zeros_like(total)
    for part in images.split(4096):
        values = part.to(torch.int32)
        total += values.sum((0, 2, 3)).cpu()
        squares += values.square().sum((0, 2, 3)).cpu()
    count = images.numel() // images.shape[1]
    mean = total.double() / count
    std = (squares.double() / count - mean.square()).clamp(min=1).sqrt()
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


class CachedBatches:
    """Batches of a split in memory, in a new order every epoch.

    The order is a function of seed and epoch only, and each global batch is cut into one part a
    process: any number of processes sees the same global batches.

    Args:
        split: On the device.
        batch_size: Images of a global batch.
        seed: Decides the orders.
        rank: This process.
        world_size: Processes.
    """

    def __init__(
        self, split: Split, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.split, self.seed = split, seed
        self.rank, self.world_size = rank, world_size
        self.batch_size = min(batch_size, len(split))
        self.steps = len(split) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields this process's share of each batch; see `Batches`."""
        order = torch.randperm(len(self.split), generator=epoch_generator(self.seed, epoch))
        order = order.to(self.split.labels.device)
        for batch in order[: self.steps * self.batch_size].split(self.batch_size):
            rows = batch.tensor_split(self.world_size)[self.rank]
            yield self.split.images[rows], self.split.labels[rows], self.split.indices[rows]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The source of chance for the order of one epoch."""
    return torch.Generator().manual_seed(seed * 100_003 + epoch)
