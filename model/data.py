"""Opens a dataset by name, always as a stream: hub id, local folder, or generated pictures."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Image, IterableDataset, Value
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from huggingface_hub.errors import HTTPError

from model.batches import (
    Batches,
    CachedBatches,
    Split,
    channel_statistics,
    train_validation_split,
)
from model.errors import DataError
from model.source import Source, SplitName
from model.stream import StreamedBatches
from model.synthetic import SYNTHETIC, synthetic

__all__ = [
    "SYNTHETIC",
    "Batches",
    "CachedBatches",
    "Source",
    "Split",
    "SplitName",
    "StreamedBatches",
    "channel_statistics",
    "open_dataset",
    "train_validation_split",
]

IMAGE_COLUMNS = ("img", "image")  # preferred names, where several columns have the type
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "coarse_label")
TEST_SPLITS = ("test", "validation", "valid", "val")
LOCAL_COPY = (
    "To use a copy on this machine instead, name its folder: --dataset path/to/folder "
    "(hub layout, or a folder of class folders); --dataset synthetic needs no data at all."
)


def open_dataset(
    name: str,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    image_size: int = 32,
    test_fraction: float = 1 / 6,
) -> Source:
    """Opens a dataset of images with class labels; nothing is decoded yet.

    Args:
        name: Hub id such as "uoft-cs/cifar10", a local folder in the hub's layout, a folder of
            class folders (with or without train/ and test/ above them), or "synthetic".
        image_column: Of images; None finds it by type.
        label_column: Of labels; None finds it by type and name.
        image_size: Side of the squares that images are scaled to, in pixels.
        test_fraction: Share of the training images that becomes the test split where the dataset
            has neither a test nor a validation split.

    Returns:
        The opened dataset, with "train" and "test".

    Raises:
        DataError: If the dataset cannot be found, reached or understood.
    """
    streams = synthetic() if name == SYNTHETIC else _streams(name)
    train = streams.get("train") or (next(iter(streams.values())) if len(streams) == 1 else None)
    if train is None:
        raise DataError(f"{name} has no train split, only {', '.join(streams)}; name another one.")
    features = train.features or {}
    image = _image_column(name, features, image_column)
    label = _label_column(name, features, label_column)
    test = next((streams[split] for split in TEST_SPLITS if split in streams), None)
    splits = {"train": train} if test is None or test is train else {"train": train, "test": test}
    splits = {k: _raw(v, image) for k, v in splits.items()}
    names, to_label = _classes(name, splits["train"], label, features[label])
    if len(names) < 2:
        raise DataError(
            f"The column {label!r} of {name} has only the class {', '.join(names)}; a classifier "
            "needs two or more. Choose another column with --label-column."
        )
    return Source(
        Path(name).resolve().name if Path(name).exists() else name,
        splits,
        image_column=image,
        label_column=label,
        label_names=names,
        to_label=to_label,
        image_size=image_size,
        test_fraction=test_fraction,
    )


def _streams(name: str) -> dict[str, IterableDataset]:
    """The splits of a dataset by name, columns and types known."""
    folder = Path(name)
    if folder.is_file():
        raise DataError(f"{name} is a file; name the folder that holds the dataset.")
    local = folder.is_dir()
    if not local and (name.startswith((".", "/", "~", os.sep)) or name.count("/") > 1):
        raise DataError(f"The folder {name} does not exist; check the path in --dataset.")
    with _our_errors(name, local):
        found = datasets.load_dataset(name, streaming=True)
        return {str(k): v if v.features else v._resolve_features() for k, v in found.items()}


@contextmanager
def _our_errors(name: str, local: bool) -> Iterator[None]:
    """Turns what `datasets` and the hub's client raise into one sentence and a remedy."""
    try:
        with _quiet():
            yield
    except DatasetNotFoundError:
        raise DataError(
            f"There is no dataset {name} on the hub that you can read, and no such folder here. "
            f"Check the spelling; for a private one, log in with `hf auth login`. {LOCAL_COPY}"
        ) from None
    except (FileNotFoundError, DatasetsError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{name} holds no dataset that can be read: {reason}") from None
    except (OSError, HTTPError, RuntimeError) as error:
        if local:
            raise DataError(f"{name} cannot be read: {error}") from None
        raise DataError(
            f"The hub cannot be reached to read {name} ({type(error).__name__}). Check the network "
            f"connection. {LOCAL_COPY}"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars or warnings of other libraries between our own lines."""
    level = datasets.logging.get_verbosity()
    shown = datasets.is_progress_bar_enabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if shown:
            datasets.enable_progress_bars()


def _image_column(name: str, features: dict[str, Any], asked: str | None) -> str:
    found = [column for column, kind in features.items() if isinstance(kind, Image)]
    if asked is not None:
        if asked not in found:
            raise DataError(
                f"{name} has no image column {asked!r} (--image-column); its image columns are "
                f"{', '.join(found) or 'none'}."
            )
        return asked
    if not found:
        raise DataError(
            f"{name} has no column of images; its columns are {', '.join(features) or 'unknown'}."
        )
    return next((column for column in IMAGE_COLUMNS if column in found), found[0])


def _label_column(name: str, features: dict[str, Any], asked: str | None) -> str:
    classes = [column for column, kind in features.items() if isinstance(kind, ClassLabel)]
    plain = [
        column
        for column, kind in features.items()
        if isinstance(kind, Value) and (kind.dtype == "string" or "int" in kind.dtype)
    ]
    if asked is not None:
        if asked not in classes + plain:
            raise DataError(
                f"{name} has no column {asked!r} of labels (--label-column); columns that could "
                f"be are {', '.join(classes + plain) or 'none'}."
            )
        return asked
    for candidates in (classes, [column for column in plain if column in LABEL_COLUMNS]):
        if candidates:
            return next((c for c in LABEL_COLUMNS if c in candidates), candidates[0])
    raise DataError(
        f"{name} has no column of labels; its columns are {', '.join(features)}. Name the right "
        "one with --label-column, or sort the images into one folder a class."
    )


def _raw(stream: IterableDataset, image: str) -> IterableDataset:
    """The stream with images left encoded: they are decoded in parallel, later."""
    return stream.cast_column(image, Image(decode=False))


def _classes(
    name: str, train: IterableDataset, column: str, kind: Any
) -> tuple[list[str], Callable[[Any], int]]:
    """Names of the classes, and how a value of the column becomes a number."""
    if isinstance(kind, ClassLabel):
        return list(kind.names), lambda value: -1 if value is None else int(value)
    values = set()
    with _our_errors(name, True):
        for table in train.select_columns([column]).with_format("arrow").iter(batch_size=4096):
            values.update(table[column].unique().to_pylist())
    ordered: Sequence[Any] = sorted(value for value in values if value is not None)
    if len(ordered) > 10_000:
        raise DataError(
            f"The column {column!r} of {name} has {len(ordered):,} different values, too many for "
            "classes; name the right one with --label-column."
        )
    numbers = {value: i for i, value in enumerate(ordered)}
    return [str(value) for value in ordered], lambda value: numbers.get(value, -1)
