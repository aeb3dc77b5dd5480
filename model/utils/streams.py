"""Finds the streams and columns of a dataset, and says in one sentence what is wrong with it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
from datasets import ClassLabel, Image, IterableDataset, Value
from datasets.exceptions import DatasetsError
from datasets.utils.file_utils import xopen
from huggingface_hub.errors import HFValidationError, HTTPError, RepositoryNotFoundError
from pyarrow.dataset import ParquetFragmentScanOptions

from .errors import DataError, ImageError

HUB_TIMEOUT = 10.0  # seconds until a hub that does not answer counts as out of reach
LOCAL_COPY = (
    "To use a copy on this machine instead, name its folder: --dataset path/to/folder "
    "(hub layout, or a folder of class folders); --dataset synthetic needs no data at all."
)
IMAGE_COLUMNS = ("img", "image")  # preferred names, where several columns have the type
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "coarse_label")
MOST_CLASSES = 10_000
DAMAGED = "cannot be read to its end; a file is missing or damaged"


def find_streams(name: str) -> dict[str, IterableDataset]:
    """The splits of a dataset in a folder or on the hub, their columns and types known.

    A dataset on the hub is downloaded once, into the hub's cache; from there on it is a folder.

    Raises:
        DataError: If there is none, or it cannot be read or reached.
    """
    folder = Path(name)
    if not name.strip():
        raise DataError(f"--dataset names nothing. {LOCAL_COPY}")
    if folder.is_file():
        raise DataError(f"{name} is a file; name the folder that holds the dataset.")
    local = folder.is_dir()
    if not local and (name.startswith((".", "/", "~", os.sep)) or name.count("/") > 1):
        raise DataError(f"The folder {name} does not exist; check the path in --dataset.")
    with _quiet():
        path = name if local else _download(name)
        with clear_errors(name, "holds no dataset that can be read"):
            streams = _load(name, path)
            return {str(k): v if v.features else v._resolve_features() for k, v in streams.items()}


def _download(name: str) -> str:
    """The folder of the hub's cache that a dataset was downloaded to."""
    try:
        # Asked once: a download alone would try again and again before it gives up on the hub.
        revision = huggingface_hub.HfApi().dataset_info(name, timeout=HUB_TIMEOUT).sha
        return huggingface_hub.snapshot_download(name, repo_type="dataset", revision=revision)
    except (HFValidationError, RepositoryNotFoundError):
        raise DataError(
            f"There is no dataset {name} on the hub that you can read, and no such folder here. "
            f"Check the spelling; for a private one, log in with `hf auth login`. {LOCAL_COPY}"
        ) from None
    except (OSError, HTTPError) as error:
        offline = huggingface_hub.constants.HF_HUB_OFFLINE
        remedy = "Unset HF_HUB_OFFLINE." if offline else "Check the network connection."
        raise DataError(
            f"The hub cannot be reached to read {name} ({type(error).__name__}). {remedy} "
            f"{LOCAL_COPY}"
        ) from None


def _load(name: str, path: str) -> dict[str, IterableDataset]:
    try:
        builder: Any = datasets.load_dataset_builder(path)
        if hasattr(builder.config, "fragment_scan_options"):
            # Otherwise pyarrow keeps what it has read of a file until its end.
            builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
        return builder.as_streaming_dataset()
    except ValueError as error:
        if "Config name is missing" not in str(error):
            raise
    several = ", ".join(datasets.get_dataset_config_names(path))
    raise DataError(
        f"{name} holds several datasets ({several}); copy the files of one into a folder of its "
        "own and name that: --dataset path/to/folder."
    )


@contextmanager
def clear_errors(name: str, problem: str = DAMAGED) -> Iterator[None]:
    """Turns what `datasets` raises while it reads files into one sentence.

    Args:
        name: Of the dataset.
        problem: What is wrong where files are missing or damaged.

    Raises:
        DataError: In place of theirs.
    """
    try:
        yield
    except (FileNotFoundError, DatasetsError, RuntimeError, ValueError) as error:
        raise DataError(f"{name} {problem}: {' '.join(str(error).split())[:300]}") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of `datasets` and the hub's client between our own lines."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def read_bytes(encoded: dict[str, Any] | None) -> bytes:
    """The file of an image that a stream gives as its bytes or as a path.

    Raises:
        ImageError: If the row holds none.
    """
    if encoded is None or (encoded["bytes"] is None and encoded["path"] is None):
        raise ImageError("The row holds no image.")
    if encoded["bytes"] is not None:
        return encoded["bytes"]
    with xopen(encoded["path"], "rb") as file:  # the path may lead into an archive
        return file.read()


def find_columns(
    name: str, features: dict[str, Any], image: str | None, label: str | None
) -> tuple[str, str]:
    """The columns of images and labels: those asked for, or found by type and name.

    Raises:
        DataError: If there is none, or the one asked for is of another type.
    """
    images = [column for column, kind in features.items() if isinstance(kind, Image)]
    classes = [column for column, kind in features.items() if isinstance(kind, ClassLabel)]
    plain = [
        column
        for column, kind in features.items()
        if isinstance(kind, Value) and ("string" in kind.dtype or "int" in kind.dtype)
    ]
    # Text and numbers may be anything: without being asked for, only their name makes them labels.
    likely = classes or [column for column in plain if column in LABEL_COLUMNS]

    def choose(what: str, asked: str | None, usable: list[str], likely: list[str]) -> str:
        preferred = IMAGE_COLUMNS if what == "image" else LABEL_COLUMNS
        if asked in usable or (asked is None and likely):
            return asked or next((c for c in preferred if c in likely), likely[0])
        which = "" if asked is None else f" {asked!r}"
        raise DataError(
            f"{name} has no {what} column{which} among {', '.join(features)}; name one "
            f"with --{what}-column ({', '.join(usable) or 'none'} could be), or sort the images of "
            "every split into one folder a class."
        )

    return choose("image", image, images, images), choose("label", label, classes + plain, likely)


def find_classes(
    name: str, train: IterableDataset, column: str
) -> tuple[tuple[str, ...], Callable[[Any], int]]:
    """Names of the classes in a column, and what turns its values into numbers, -1 for none.

    Raises:
        DataError: If there are fewer than two, or too many to be classes.
    """
    kind = (train.features or {})[column]
    if isinstance(kind, ClassLabel):
        names, to_label = list(kind.names), lambda value: -1 if value is None else int(value)
    else:
        values: set[Any] = set()
        with clear_errors(name):
            for table in train.select_columns([column]).with_format("arrow").iter(4096):
                values.update(table[column].unique().to_pylist())
        # Below zero means "not known" wherever labels are numbers, and becomes an error when read.
        known = sorted(v for v in values if v is not None and (isinstance(v, str) or v >= 0))
        numbers = {value: i for i, value in enumerate(known)}
        names, to_label = [str(value) for value in known], lambda value: numbers.get(value, -1)
    if len(names) > MOST_CLASSES and not isinstance(kind, ClassLabel):
        raise DataError(
            f"The column {column!r} of {name} has {len(names):,} different values, too many for "
            "classes; name the right one with --label-column."
        )
    if len(names) < 2:
        raise DataError(
            f"The column {column!r} of {name} has only the class {', '.join(names)}; a classifier "
            "needs two or more. Choose another column with --label-column."
        )
    return tuple(names), to_label
