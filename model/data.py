"""Opens a dataset by name, always as a stream: hub id, local folder, or generated pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Image, IterableDataset, Value

from .batches import (
    Batches,
    CachedBatches,
    Split,
    channel_statistics,
    train_validation_split,
)
from .reading import clear_errors, find_streams
from .source import Source, SplitName
from .stored import DAMAGED
from .stream import StreamedBatches
from .synthetic import SYNTHETIC, synthetic
from .utils.errors import DataError

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
    streams = synthetic() if name == SYNTHETIC else find_streams(name)
    train = streams.get("train") or (next(iter(streams.values())) if len(streams) == 1 else None)
    if train is None:
        raise DataError(f"{name} has no train split, only {', '.join(streams)}; name another one.")
    features = train.features or {}
    image = _image_column(name, features, image_column)
    label = _label_column(name, features, label_column)
    test = next((streams[split] for split in TEST_SPLITS if split in streams), None)
    splits = {"train": train} if test is None or test is train else {"train": train, "test": test}
    splits = {k: _raw(v, image) for k, v in splits.items()}
    local = name == SYNTHETIC or Path(name).is_dir()
    with clear_errors(name, local=local, problem=DAMAGED):
        names, to_label = _classes(name, splits["train"], label, features[label])
    if len(names) < 2:
        raise DataError(
            f"The column {label!r} of {name} has only the class {', '.join(names)}; a classifier "
            "needs two or more. Choose another column with --label-column."
        )
    return Source(
        Path(name).resolve().name if local else name,
        splits,
        image_column=image,
        label_column=label,
        label_names=names,
        to_label=to_label,
        image_size=image_size,
        test_fraction=test_fraction,
        local=local,
    )


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
        if isinstance(kind, Value) and ("string" in kind.dtype or "int" in kind.dtype)
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
        "one with --label-column, or sort the images of every split into one folder a class."
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
    for table in train.select_columns([column]).with_format("arrow").iter(batch_size=4096):
        values.update(table[column].unique().to_pylist())
    # Below zero means "not known" wherever labels are numbers, and becomes an error when read.
    known = (v for v in values if v is not None and (isinstance(v, str) or v >= 0))
    ordered: Sequence[Any] = sorted(known)
    if len(ordered) > 10_000:
        raise DataError(
            f"The column {column!r} of {name} has {len(ordered):,} different values, too many for "
            "classes; name the right one with --label-column."
        )
    numbers = {value: i for i, value in enumerate(ordered)}
    return [str(value) for value in ordered], lambda value: numbers.get(value, -1)
