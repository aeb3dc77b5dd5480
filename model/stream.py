"""Batches of a dataset that does not fit in memory: read again and shuffled in every epoch."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from .batches import epoch_generator
from .source import Row, Source
from .utils.errors import DataError


class StreamedBatches:
    """Batches from a stream, through a buffer that mixes the order, shared by processes.

    In every epoch the stream's parts (row groups, or files) come in another order; each process
    takes every `world_size`-th of the wanted rows, keeps some encoded in its buffer, draws from it
    at random, and decodes only its own. Over all processes each image is seen exactly once (but
    for what a last batch that is not full leaves out).

    Args:
        source: The opened dataset.
        positions: Rows of the training split to use, int64 (N,).
        batch_size: Images of a global batch, a multiple of `world_size`.
        seed: Decides the orders.
        rank: This process.
        world_size: Processes.
        device: Where batches go.
        buffer_size: Encoded images in the buffers of all processes together; 100 times as many
            where the stream gives only paths of image files. Rows that are sorted by class in
            longer runs than that stay badly mixed: shuffle such files once.
    """

    def __init__(
        self,
        source: Source,
        positions: Tensor,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        device: str | torch.device = "cpu",
        buffer_size: int = 10_000,
    ) -> None:
        self.source, self.seed, self.device = source, seed, device
        self.rank, self.world_size = rank, world_size
        self.batch_size = min(batch_size, len(positions))
        self.steps = len(positions) // self.batch_size
        self.buffer_size = max(1, buffer_size // world_size)
        self.wanted = torch.zeros(len(source.labels("train")), dtype=torch.bool)
        self.wanted[positions] = True

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields this process's share of each batch; see `Batches`."""
        rows = self._shuffled(epoch)
        share = len(torch.arange(self.batch_size).tensor_split(self.world_size)[self.rank])
        with ThreadPoolExecutor(1) as pool:  # the next batch is decoded while this one trains
            waiting = pool.submit(self._batch, rows, share)
            for step in range(self.steps):
                images, labels, indices = waiting.result()
                if len(labels) < share:
                    return
                if step + 1 < self.steps:
                    waiting = pool.submit(self._batch, rows, share)
                yield images, labels, indices

    def _batch(self, rows: Iterator[Row], size: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = list(islice(rows, size))
        images = self.source.decode(chosen, "train")  # (n, 3, S, S)
        if any(at in self.source.bad for at, _, _ in chosen):
            standing = self._stand_ins(chosen)
            chosen, images = [chosen[i] for i in standing], images[standing]  # (n, 3, S, S)
        return (
            images.to(self.device),
            torch.tensor([label for _, _, label in chosen]).to(self.device),
            torch.tensor([position for position, _, _ in chosen]).to(self.device),
        )

    def _stand_ins(self, chosen: list[Row]) -> list[int]:
        """Which row of a batch stands in the place of each: itself, or where it is bad another."""
        good = [i for i, (at, _, _) in enumerate(chosen) if at not in self.source.bad]
        if not good:
            raise DataError(
                f"None of the {len(chosen)} images of a batch of {self.source.name} can be "
                "decoded. Repair the dataset, or choose a larger --batch-size."
            )
        return [i if i in good else good[i % len(good)] for i in range(len(chosen))]

    def _shuffled(self, epoch: int) -> Iterator[Row]:
        """This process's rows, in an order that seed and epoch decide."""
        generator = epoch_generator(self.seed, epoch)
        shards = torch.randperm(self.source.shards("train"), generator=generator).tolist()
        draw = random.Random(int(torch.randint(2**62, (), generator=generator)))
        buffer: list[Row] = []
        stream = self.source.encoded("train", self.wanted, shards)
        for row in islice(stream, self.rank, None, self.world_size):
            if len(buffer) < self.buffer_size * (100 if _is_path(row) else 1):
                buffer.append(row)
                continue
            at = draw.randrange(len(buffer))
            yield buffer[at]
            buffer[at] = row
        draw.shuffle(buffer)
        yield from buffer


def _is_path(row: Row) -> bool:
    """Whether a row holds no image yet but the path of one, which takes little memory."""
    encoded = row[1]
    return encoded is not None and encoded["bytes"] is None
