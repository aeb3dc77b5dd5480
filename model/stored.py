"""One split of a dataset as it is stored: labels of all rows, and images that stream by."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import torch
from datasets import IterableDataset
from torch import Tensor

from .reading import clear_errors
from .utils.errors import DataError

DAMAGED = "cannot be read to its end; a file is missing or damaged"
Part = tuple[IterableDataset, int]  # a stream, and which of its shards


class StoredSplit:
    """Rows of one stream.

    Args:
        stream: Whose image column is not decoded.
        where: Split and dataset, for messages.
        name: Of the dataset.
        image_column: Of encoded images.
        label_column: Of labels.
        to_label: Turns a value of the label column into its number; -1 for none.
        classes: Number of classes.
        local: Whether the dataset lies on this machine.
    """

    def __init__(
        self,
        stream: IterableDataset,
        where: str,
        *,
        name: str,
        image_column: str,
        label_column: str,
        to_label: Callable[[Any], int],
        classes: int,
        local: bool,
    ) -> None:
        self.stream, self.where, self.name, self.local = stream, where, name, local
        self.image_column, self.label_column = image_column, label_column
        self.to_label, self.classes = to_label, classes
        self._labels: Tensor | None = None
        self._sizes: list[int] = []  # rows of each shard
        self._small: tuple[IterableDataset, list[int]] | None = None

    def labels(self) -> Tensor:
        """Labels of all rows, int64 (N,).

        Raises:
            DataError: If a row has no valid label, or there are no rows.
        """
        if self._labels is None:
            labels, sizes = self._read_labels(self.stream)
            wrong = ((labels < 0) | (labels >= self.classes)).nonzero().flatten()
            if len(wrong):
                raise DataError(
                    f"Row {int(wrong[0])} of {self.where} has no valid label in the column "
                    f"{self.label_column!r}; choose another one with --label-column, or remove "
                    "such rows."
                )
            if not len(labels):
                raise DataError(f"There are no rows in {self.where}; name another dataset.")
            self._labels, self._sizes = labels, sizes
        return self._labels

    def parts(self, *, small: bool) -> tuple[IterableDataset, list[int]]:
        """A stream with the same rows in the same order, and the rows of each of its shards.

        Args:
            small: Cut as small as the files allow: by row groups of Parquet files. That opens
                them more often, and is for reading in another order.
        """
        labels = self.labels()
        if not small:
            return self.stream, self._sizes
        if self._small is None:
            cut = self.stream.reshard() if hasattr(self.stream, "reshard") else self.stream
            self._small = self.stream, self._sizes
            if cut.num_shards != self.stream.num_shards:
                found, sizes = self._read_labels(cut)
                if not torch.equal(found, labels):
                    raise self.changed()
                self._small = cut, sizes
        return self._small

    def images(self, part: Part) -> Iterator[pa.ChunkedArray]:
        """The encoded images of one shard, some at a time."""
        stream, shard = part
        column = stream.select_columns([self.image_column]).with_format("arrow")
        rows = column.shard(column.num_shards, shard, contiguous=True)
        with clear_errors(self.name, local=self.local, problem=DAMAGED):
            for table in rows.iter(batch_size=1024):
                yield table[self.image_column]

    def changed(self) -> DataError:
        """To raise where the rows are not those that were there before."""
        return DataError(
            f"The rows of {self.where} are not those of a moment ago: it changed while it was "
            "read. Start again once it is complete."
        )

    def _read_labels(self, stream: IterableDataset) -> tuple[Tensor, list[int]]:
        """Labels of all rows, and the number of rows of each shard."""
        column = stream.select_columns([self.label_column]).with_format("arrow")
        found: list[int] = []
        sizes = []
        with clear_errors(self.name, local=self.local, problem=DAMAGED):
            for shard in range(column.num_shards):
                before = len(found)
                rows = column.shard(column.num_shards, shard, contiguous=True)
                for table in rows.iter(batch_size=4096):
                    found += [self.to_label(v) for v in table[self.label_column].to_pylist()]
                sizes.append(len(found) - before)
        return torch.tensor(found, dtype=torch.int64), sizes
