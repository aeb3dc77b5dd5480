"""An opened dataset: which columns and classes it has, and its rows as they stream by."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from datasets import IterableDataset
from huggingface_hub.errors import HTTPError
from torch import Tensor

from .batches import Split, train_validation_split
from .reading import content
from .stored import StoredSplit
from .utils.errors import DataError, ImageError
from .utils.images import read_square

SplitName = Literal["train", "test"]
Progress = Callable[[int, int], None]
Row = tuple[int, Any, int]  # position in its split, encoded image, label

CHUNK = 256  # images decoded as one task
FINGERPRINT_IMAGES = 256


class Source:
    """Images and labels of a dataset, read when asked for.

    Args:
        name: What results call it.
        splits: "train" and, where the dataset has one, "test"; streams whose image column is not
            decoded.
        image_column: Of encoded images.
        label_column: Of labels.
        label_names: Of all classes, in the order of their numbers.
        to_label: Turns a value of the label column into its number; -1 for none.
        image_size: Side of the squares that images are scaled to, in pixels.
        test_fraction: Share of the training split that becomes the test split if there is none.
        local: Whether it lies on this machine.
    """

    def __init__(
        self,
        name: str,
        splits: dict[str, IterableDataset],
        *,
        image_column: str,
        label_column: str,
        label_names: Sequence[str],
        to_label: Callable[[Any], int],
        image_size: int,
        test_fraction: float,
        local: bool = True,
    ) -> None:
        self.name = name
        self.image_column, self.label_column = image_column, label_column
        self.label_names = tuple(label_names)
        self.image_size = image_size
        self._test_fraction = test_fraction
        self._splits = {
            split: StoredSplit(
                stream,
                f"the {split} split of {name}",
                name=name,
                image_column=image_column,
                label_column=label_column,
                to_label=to_label,
                classes=len(label_names),
                local=local,
            )
            for split, stream in splits.items()
        }
        self.bad: set[int] = set()
        """Rows of the training split that were tolerated though they cannot be decoded."""
        self._tolerated, self._noting = 0, Lock()
        self._fingerprints: dict[str, str] = {}
        self._carved: dict[str, Tensor] | None = None  # rows of both splits where there is one

    def labels(self, split: SplitName) -> Tensor:
        """Labels of a split, int64 (N,); no image is decoded.

        Raises:
            DataError: If a row has no valid label.
        """
        rows = self._base_rows(split)
        labels = self._base(split).labels()
        return labels if rows is None else labels[rows]

    def tolerate(self, count: int) -> None:
        """Lets up to `count` training images be undecodable: they come black, and are in `bad`."""
        self._tolerated = count

    def without_bad(self, rows: Tensor) -> Tensor:
        """Those of some rows of the training split that could be decoded, int64 (n,)."""
        return rows[~torch.isin(rows, torch.tensor(sorted(self.bad), dtype=torch.int64))]

    def nbytes(self, split: SplitName) -> int:
        """Memory that the decoded images of a split take."""
        return len(self.labels(split)) * 3 * self.image_size**2

    def fingerprint(self, split: SplitName) -> str:
        """SHA-256 over label names, all labels, and the pixels of the split's first 256 images."""
        if split not in self._fingerprints:
            labels = self.labels(split)
            first = self.load(split, torch.arange(min(FINGERPRINT_IMAGES, len(labels)))).images
            digest = hashlib.sha256("\0".join(self.label_names).encode())
            digest.update(labels.numpy().tobytes())
            digest.update(first.numpy().tobytes())
            self._fingerprints[split] = digest.hexdigest()
        return self._fingerprints[split]

    def load(
        self,
        split: SplitName,
        indices: Tensor | None = None,
        *,
        device: str | torch.device = "cpu",
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Split:
        """Decodes images of a split, in parallel and once.

        Args:
            split: "train" or "test".
            indices: Rows to read, in any order; None reads all.
            device: Where they go.
            workers: Threads; None takes one a processor core.
            progress: Called with images read and images in all.

        Raises:
            DataError: If an image cannot be decoded (names its row), or a row is out of range.
        """
        labels = self.labels(split)
        indices = torch.arange(len(labels)) if indices is None else indices.cpu()
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(labels):
            raise DataError(f"{self.name} has {len(labels)} {split} images; a row is out of range.")
        place = torch.full((len(labels),), -1)
        place[indices] = torch.arange(len(indices))
        images = torch.empty(len(indices), 3, self.image_size, self.image_size, dtype=torch.uint8)
        done, count = 0, int((place >= 0).sum())
        for rows, pixels in self._decoded(split, place >= 0, workers):
            images[place[rows]] = pixels  # (n, 3, S, S)
            done += len(rows)
            if progress:
                progress(done, count)
        if count < len(indices):  # rows asked for twice were decoded once
            images = images[place[indices]]  # (len(indices), 3, S, S)
        return Split(images.to(device), labels[indices].to(device), indices.to(device))

    def iter_batches(
        self,
        split: SplitName,
        indices: Tensor | None,
        batch_size: int,
        device: str | torch.device = "cpu",
    ) -> Iterator[Split]:
        """Decodes images of a split piece by piece, in the stream's order, in bounded memory.

        Args:
            split: "train" or "test".
            indices: Rows to read; None reads all.
            batch_size: Images of a piece; the last may be smaller.
            device: Where they go.
        """
        labels = self.labels(split)
        wanted = torch.ones(len(labels), dtype=torch.bool)
        if indices is not None:
            wanted = torch.zeros_like(wanted).index_fill(0, indices.cpu(), True)
        held: list[tuple[Tensor, Tensor]] = []
        for rows, pixels in self._decoded(split, wanted, None):
            held.append((rows, pixels))
            while sum(len(part) for part, _ in held) >= batch_size:
                rows, pixels = (torch.cat(parts) for parts in zip(*held, strict=True))
                now = rows[:batch_size]
                yield Split(pixels[:batch_size].to(device), labels[now].to(device), now.to(device))
                held = [(rows[batch_size:], pixels[batch_size:])]
        if sum(len(part) for part, _ in held):
            rows, pixels = (torch.cat(parts) for parts in zip(*held, strict=True))
            yield Split(pixels.to(device), labels[rows].to(device), rows.to(device))

    def encoded(
        self, split: SplitName, wanted: Tensor, shard_order: Sequence[int] | None = None
    ) -> Iterator[Row]:
        """Yields position, encoded image and label of the wanted rows.

        Args:
            split: "train" or "test".
            wanted: bool (N,).
            shard_order: In which the `shards` parts of the stream are read; None reads all in
                their order.
        """
        base, rows = self._base(split), self._base_rows(split)
        labels = self.labels(split)
        position = torch.arange(len(labels))
        if rows is not None:  # from rows of the stream to rows of the carved split
            position = torch.full((len(base.labels()),), -1)
            position[rows] = torch.arange(len(rows))
        wanted_rows = position >= 0
        wanted_rows[wanted_rows.clone()] = wanted[position[wanted_rows]]
        last = int(wanted_rows.nonzero().max()) if wanted_rows.any() else -1
        stream, sizes = base.parts(small=shard_order is not None)
        starts = np.cumsum([0, *sizes])
        for shard in range(len(starts) - 1) if shard_order is None else shard_order:
            row = int(starts[shard])
            if shard_order is None and row > last:
                return
            for images in base.images((stream, shard)):
                for image in images:
                    if row >= len(wanted_rows):
                        raise base.changed()
                    if wanted_rows[row]:
                        at = int(position[row])
                        yield at, image.as_py(), int(labels[at])
                    row += 1
                if shard_order is None and row > last:
                    return
            if row != starts[shard + 1]:
                raise base.changed()

    def shards(self, split: SplitName) -> int:
        """Parts that can be read in any order: row groups of Parquet files, otherwise files."""
        return len(self._base(split).parts(small=True)[1])

    def decode(self, rows: Sequence[Row], split: SplitName) -> Tensor:
        """Decodes a few rows: uint8 (n, 3, S, S).

        Raises:
            DataError: If an image cannot be decoded and is not tolerated; names its row.
        """
        pixels = np.zeros((len(rows), self.image_size, self.image_size, 3), np.uint8)
        for i, (at, encoded, _) in enumerate(rows):
            try:
                pixels[i] = read_square(content(encoded), self.image_size)
            except (ImageError, OSError, HTTPError) as error:
                self._note_bad(at, split, error)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()  # (n, 3, S, S)

    def _note_bad(self, at: int, split: SplitName, error: Exception) -> None:
        with self._noting:
            if split == "train" and len(self.bad | {at}) <= self._tolerated:
                self.bad.add(at)
                return
        others = f" after {len(self.bad)} others" if split == "train" and self.bad else ""
        remedy = ", or leave some out with --max-bad-images" if split == "train" else ""
        raise DataError(
            f"Image {at} of the {split} split of {self.name} cannot be decoded{others} ({error}) "
            f"Repair or remove it{remedy}."
        )

    def _decoded(
        self, split: SplitName, wanted: Tensor, workers: int | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Positions (n,) and images (n, 3, S, S) of the wanted rows, in order."""
        workers = workers or os.cpu_count() or 1
        pending: deque[tuple[list[Row], Future[Tensor]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for chunk in _chunks(self.encoded(split, wanted), CHUNK):
                pending.append((chunk, pool.submit(self.decode, chunk, split)))
                if len(pending) > 2 * workers:
                    yield _collect(*pending.popleft())
            while pending:
                yield _collect(*pending.popleft())

    def _base(self, split: SplitName) -> StoredSplit:
        return self._splits[split if split in self._splits else "train"]

    def _base_rows(self, split: SplitName) -> Tensor | None:
        """Rows of the stream that make up a split; None for all."""
        if "test" in self._splits:
            return None
        if self._carved is None:
            labels = self._base("train").labels()
            count = max(1, round(self._test_fraction * len(labels)))
            train, test = train_validation_split(labels, count, seed=0)
            self._carved = {"train": train, "test": test}
        return self._carved[split]


def _chunks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _collect(chunk: list[Row], future: Future[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.tensor([at for at, _, _ in chunk]), future.result()
