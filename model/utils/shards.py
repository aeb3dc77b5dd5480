"""An opened dataset: splits as their files hold them, read shard by shard, decoded in threads."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain, islice, zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Image, IterableDataset
from torch import Tensor

from .errors import DataError, ImageError
from .images import read_square
from .machine import cores
from .streams import clear_errors, read_bytes

CHUNK = 256  # images that one thread decodes at a time
FINGERPRINT_IMAGES = 256
MOST_SHARDS = 256

Progress = Callable[[int, int], None]  # is told how many images are read, and of how many
Shard = tuple[IterableDataset, int, int]  # a part of a stream, and its first and its last row + 1
Row = tuple[int, Any]  # place in the split; the image's file: {"bytes": ..., "path": ...} or None


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images with their labels."""

    images: Tensor
    """uint8 (N, 3, S, S)."""
    labels: Tensor
    """int64 (N,)."""
    indices: Tensor
    """Place of each image in its split, int64 (N,)."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "LabelledImages":
        """Some rows of these tensors, int64 (n,)."""
        return LabelledImages(self.images[rows], self.labels[rows], self.indices[rows])

    def select(self, indices: Tensor) -> "LabelledImages":
        """Those with given indices, in that order, less those that are not here.

        The images' own indices must rise, as those of a split in memory do.
        """
        indices = indices.to(self.indices.device)
        indices = indices[torch.isin(indices, self.indices)]
        return self.take(torch.searchsorted(self.indices, indices))

    def to(self, device: str | torch.device) -> "LabelledImages":
        """The same on a device."""
        return LabelledImages(*(x.to(device) for x in (self.images, self.labels, self.indices)))


@dataclass(eq=False)
class ImageDataset:
    """An opened dataset of images with class labels."""

    name: str
    """What results and messages call it."""
    image_column: str
    label_column: str
    label_names: tuple[str, ...]
    """Of all classes, in the order of their numbers."""
    to_label: Callable[[Any], int]
    """Turns a value of the label column into its number; -1 for none."""
    image_size: int
    """Side S of the squares that images are scaled to, in pixels."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was found, and what is not used."""
    splits: "dict[str, ShardedSplit]" = field(default_factory=dict)
    """Of "train" and "test", and "validation" where there is one besides."""

    def labels(self, split: str) -> Tensor:
        """Labels of a split, int64 (N,)."""
        return self.splits[split].labels


class ShardedSplit:
    """One split as its files hold it: labels are read at once, images pass by and are not kept."""

    def __init__(self, dataset: ImageDataset, kind: str, stream: IterableDataset) -> None:
        self.dataset, self.kind = dataset, kind
        self.rows: Tensor | None = None  # of the stream that make up the split, (N,); None: all
        # Left to `datasets`, images would be decoded one after the other.
        self.stream = stream.cast_column(dataset.image_column, Image(decode=False))
        self.max_bad_images = 0  # that may be left out because they cannot be decoded
        self.bad: set[int] = set()  # places of those that were

    def part(self, kind: str, rows: Tensor) -> "ShardedSplit":
        """A split of some of the rows, int64 (n,)."""
        part = copy(self)  # with it come the labels, which are read once
        part.kind, part.rows, part.bad = kind, rows, set()
        return part

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"the {self.kind} split of {self.dataset.name}"

    @property
    def labels(self) -> Tensor:
        """Labels of the split, int64 (N,); no image is read.

        Raises:
            DataError: If a row has no valid label, or there are no rows.
        """
        return self._stored if self.rows is None else self._stored[self.rows]

    @cached_property
    def _stored(self) -> Tensor:
        """Labels of the whole stream, int64 (M,)."""
        found: list[int] = []
        for values in self._column(self.dataset.label_column, self.stream):
            found += [self.dataset.to_label(value) for value in values.to_pylist()]
        labels = torch.tensor(found, dtype=torch.int64)
        wrong = ((labels < 0) | (labels >= len(self.dataset.label_names))).nonzero().flatten()
        if len(wrong):
            raise DataError(
                f"Row {int(wrong[0])} of {self.where} has no valid label in the column "
                f"{self.dataset.label_column!r}; choose another one with --label-column, or remove "
                "such rows."
            )
        if not found:
            raise DataError(f"There are no rows in {self.where}; name another dataset.")
        return labels

    def _column(self, column: str, stream: IterableDataset) -> Iterator[pa.ChunkedArray]:
        """The values of one column, some at a time."""
        with clear_errors(self.dataset.name):
            for table in stream.select_columns([column]).with_format("arrow").iter(1024):
                yield table[column]

    @cached_property
    def shards(self) -> list[Shard]:
        """Parts of the stream that can be read in any order."""
        # The smallest are row groups of Parquet files. Many of them make one shard: each is opened
        # anew, and a buffer mixes what lies close together.
        small = self.stream.reshard() if hasattr(self.stream, "reshard") else self.stream
        count = min(small.num_shards, MOST_SHARDS)
        streams = [small.shard(count, i, contiguous=True) for i in range(count)]
        column = self.dataset.label_column  # any would do to count rows
        sizes = [sum(len(values) for values in self._column(column, part)) for part in streams]
        edges = [0, *accumulate(sizes)]
        return list(zip(streams, edges, edges[1:], strict=False))

    def read(self, wanted: Tensor, shards: Sequence[Shard] | None = None) -> Iterator[Row]:
        """Yields rows one by one; what comes after the last of them is not read.

        Args:
            wanted: Places in the split, int64 (n,).
            shards: In the order in which to read them; None reads the stream as it is, so that
                places rise.

        Raises:
            DataError: If the files are no longer what they were when labels were read.
        """
        place = torch.full_like(self._stored, -1)  # (M,): in the split, of each row of the stream
        place[wanted if self.rows is None else self.rows[wanted]] = wanted
        for stream, start, end in shards or [(self.stream, 0, len(place))]:
            places = place[start:end].tolist()
            left = len(places) - places.count(-1)
            if not left:
                continue
            images = chain.from_iterable(self._column(self.dataset.image_column, stream))
            for at, image in zip_longest(places, images):
                if at is None or image is None:
                    raise DataError(
                        f"The rows of {self.where} are not those of a moment ago: it changed "
                        "while it was read. Start again once it is complete."
                    )
                if at >= 0:
                    yield at, image.as_py()
                    left -= 1
                if not left:
                    break

    def decode(self, batches: Iterable[list[Row]]) -> Iterator[LabelledImages]:
        """Decodes batches in threads, always one batch further than the caller is.

        Raises:
            DataError: If more images than `max_bad_images` cannot be decoded; names the row.
        """
        with ThreadPoolExecutor(cores()) as pool:
            ahead: list[Any] = []
            for batch in chain(batches, ([],)):  # the empty one pushes the last one out
                chunks = [batch[i : i + CHUNK] for i in range(0, len(batch), CHUNK)]
                following = [pool.submit(self._decode, chunk) for chunk in chunks]
                if ahead:
                    images, places = zip(*(chunk.result() for chunk in ahead), strict=True)
                    indices = torch.cat(places)  # (n,)
                    yield LabelledImages(torch.cat(images), self.labels[indices], indices)
                ahead = following

    def _decode(self, rows: list[Row]) -> tuple[Tensor, Tensor]:
        """Images uint8 (n, 3, S, S) of the rows that can be decoded, and their places (n,)."""
        size = self.dataset.image_size
        pixels = np.empty((len(rows), size, size, 3), np.uint8)
        places: list[int] = []
        for place, encoded in rows:
            try:
                pixels[len(places)] = read_square(read_bytes(encoded), size)
                places.append(place)
            except (ImageError, OSError) as error:
                self.bad.add(place)  # before it is counted: other threads may add theirs
                if len(self.bad) > self.max_bad_images:
                    raise self._undecodable(place, encoded, error) from None
        images = torch.from_numpy(pixels[: len(places)]).permute(0, 3, 1, 2)  # (n, 3, S, S)
        return images.contiguous(), torch.tensor(places, dtype=torch.int64)

    def _undecodable(self, place: int, encoded: Any, error: Exception) -> DataError:
        others = f" after {len(self.bad) - 1} others" if len(self.bad) > 1 else ""
        path = f" ({encoded['path']})" if encoded and encoded["path"] else ""
        return DataError(
            f"Image {place} of {self.where}{path} cannot be decoded{others}: {error} Repair it, "
            "leave such images out with --max-bad-images, or remove it and start a new run."
        )

    def iter_batches(
        self, indices: Tensor | None, batch_size: int, device: str | torch.device = "cpu"
    ) -> Iterator[LabelledImages]:
        """Decodes images piece by piece, in the order of the files, in bounded memory.

        Args:
            indices: Places in the split; None reads all.
            batch_size: Images of a piece; the last may be smaller.
            device: Where they go.
        """
        rows = self.read(torch.arange(len(self.labels)) if indices is None else indices.cpu())
        for piece in self.decode(iter(lambda: list(islice(rows, batch_size)), [])):
            yield piece.to(device)

    def load(
        self,
        indices: Tensor | None = None,
        *,
        device: str | torch.device = "cpu",
        progress: Progress | None = None,
    ) -> LabelledImages:
        """Decodes images into memory, each once.

        Args:
            indices: Places in the split, in any order; None reads all.
            device: Where they go.
            progress: Called after every few images.

        Raises:
            DataError: If an image cannot be decoded; names its row.
        """
        asked = torch.arange(len(self.labels)) if indices is None else indices.cpu()
        wanted = asked.unique()  # in rising order
        pieces = [LabelledImages(*self._decode([]), wanted[:0])]  # of no image, but of its shape
        for piece in self.iter_batches(wanted, CHUNK * cores()):
            pieces.append(piece)
            if progress:
                progress(sum(map(len, pieces)), len(wanted))
        columns = zip(*((x.images, x.labels, x.indices) for x in pieces), strict=True)
        loaded = LabelledImages(*(torch.cat(column) for column in columns))
        whole = torch.equal(loaded.indices, asked)  # the usual case takes no second copy
        return (loaded if whole else loaded.select(asked)).to(device)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over label names, all labels, and the pixels of the first 256 images."""
        count, size = min(FINGERPRINT_IMAGES, len(self.labels)), self.dataset.image_size
        first = self.load(torch.arange(count))
        pixels = torch.zeros(count, 3, size, size, dtype=torch.uint8)
        pixels[first.indices] = first.images  # those that cannot be decoded stay black
        digest = hashlib.sha256("\0".join(self.dataset.label_names).encode())
        digest.update(self.labels.numpy().tobytes())
        digest.update(pixels.numpy().tobytes())
        return digest.hexdigest()
