"""Finds the streams and columns of a dataset, and says in one sentence what is wrong with it."""

import glob
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import datasets
import huggingface_hub
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset, Value
from datasets.exceptions import DatasetsError
from pyarrow import csv
from pyarrow.dataset import ParquetFragmentScanOptions
from yaml import YAMLError  # type: ignore[import-untyped]

from .errors import DataError, HubError, ImageError
from .hub import asking
from .listing import DAMAGED_ZIP, SPLIT_OF, Listing, is_picture, list_folder

HUB_TIMEOUT = 10.0  # seconds until a hub that does not answer counts as out of reach
FOLDER = (
    "--dataset path/to/folder (hub layout, or a folder of class folders); --dataset synthetic "
    "needs no data at all."
)
LOCAL_COPY = f"To use a copy on this machine instead, name its folder: {FOLDER}"
IMAGE_COLUMNS = ("img", "image")  # preferred names, where several columns have the type
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "coarse_label")
MOST_CLASSES = 10_000
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MOST_BYTES = 2**28  # of one file in a zip
DAMAGED = "cannot be read to its end; a file is missing or damaged"


@dataclass(frozen=True)
class Found:
    """The streams of a dataset, and what else lies in its folder."""

    splits: dict[str, IterableDataset]
    """Of "train", "validation" and "test", those that there are; their columns are known."""
    unused: dict[str, list[str]] = field(default_factory=dict)
    """Names of files and splits that are not used, under the reason why."""


def find_streams(name: str) -> Found:
    """The splits of a dataset in a folder or on the hub.

    A dataset on the hub is downloaded once, into the hub's cache; from there on it is a folder.

    Raises:
        DataError: If there is none, or it cannot be read or reached.
    """
    if os.path.isfile(name):
        raise DataError(f"{name} is a file; name the folder that holds the dataset.")
    local = os.path.isdir(name)
    with _quiet():
        path = os.path.abspath(name) if local else _download(name)
        with clear_errors(name, "holds no dataset that can be read"):
            return _open(name, path, local)


def _download(name: str) -> str:
    """The folder of the hub's cache that a dataset was downloaded to."""
    try:
        huggingface_hub.utils.validate_repo_id(name)
    except ValueError:
        raise DataError(f"There is no folder {name!r} here: name one by {FOLDER}") from None
    try:
        with asking(f"There is no folder {name!r} here, and fetching such a dataset failed"):
            # Asked once: a download alone would try again and again before it gives up on the hub.
            if not huggingface_hub.constants.HF_HUB_OFFLINE:
                huggingface_hub.HfApi().dataset_info(name, timeout=HUB_TIMEOUT)
            return huggingface_hub.snapshot_download(name, repo_type="dataset")
    except HubError as error:
        raise DataError(f"{error} {LOCAL_COPY}") from None


def _open(name: str, folder: str, local: bool) -> Found:
    card = Path(folder) / "README.md"
    try:
        head = huggingface_hub.metadata_load(card) if card.is_file() else None
    except (ValueError, YAMLError):  # a text that only looks like the card of a dataset
        head = None
    # Whether the card says which files belong to the dataset, or what their columns are.
    if head and {"configs", "dataset_info"} & head.keys():
        return _open_declared(name, folder)
    listing = list_folder(Path(folder))
    if listing.stored:  # what a dataset on the hub consists of; figures may lie beside it
        stored = {split: _open_stored(paths) for split, paths in listing.stored.items()}
        return Found(stored, listing.unused({*chain(*listing.stored.values())}))
    used: set[str] = set()
    tables: dict[str, Dataset] = {}
    for split, paths in listing.written.items():
        for path in paths:
            found = _read_table(path, None if local else folder)
            if found is not None and split not in tables:
                tables[split], files = found
                used |= {path, *files}
    # Class folders tell what pictures show, unless a table does.
    labelled = all({*rows.column_names} & {*LABEL_COLUMNS} for rows in tables.values())
    if tables and (labelled or len(listing.classes) < 2):
        streams = {split: rows.to_iterable_dataset() for split, rows in tables.items()}
        return Found(streams, listing.unused(used))
    if not listing.pictures and any(is_picture(parts) for parts, _ in listing.files):
        raise DataError(
            f"{name} holds pictures, but neither class folders nor a table of labels: sort the "
            "images of every split into one folder a class."
        )
    if not listing.pictures:
        return _open_declared(name, folder)  # perhaps in a form that only `datasets` knows
    return _open_pictures(name, listing)


def _open_pictures(name: str, listing: Listing) -> Found:
    """Class folders as streams."""
    names = listing.classes
    if len(names) < 2:
        deeper = any(len(parts) > 2 for parts, _ in listing.files)
        hint = f" Is it the dataset? Then --dataset {Path(name) / names[0]}." if deeper else ""
        raise DataError(
            f"{name} has only the class folder {names[0]!r}; a classifier needs two or more.{hint}"
        )
    every = list(chain(*listing.pictures.values()))
    if strange := {one for one, _ in every}.difference(names):
        raise DataError(
            f"{name} has pictures of {min(strange)!r} to test on, but none to train on (there are "
            f"{', '.join(names[:10])}); rename that folder, or add pictures to train on."
        )
    number = {one: i for i, one in enumerate(names)}
    splits = {}
    for split, pairs in listing.pictures.items():
        labels = [number[one] for one, _ in pairs]
        rows = Dataset.from_dict({"label": labels}, Features(label=ClassLabel(names=names)))
        rows = _with_files(rows, "image", [path for _, path in pairs])
        splits[split] = rows.to_iterable_dataset(num_shards=min(64, len(rows)))
    return Found(splits, listing.unused({path for _, path in every}))


def _with_files(rows: Dataset, column: str, paths: list[str]) -> Dataset:
    """Rows with a column of image files, in place of one of that name."""
    if column in rows.column_names:
        rows = rows.remove_columns(column)
    files = [{"bytes": None, "path": path} for path in paths]
    return rows.add_column(column, files, feature=Image(decode=False))


def _open_declared(name: str, folder: str) -> Found:
    if glob.has_magic(folder):
        raise DataError(f"`datasets` cannot open {folder}: rename it, without any of * ? [.")
    try:
        builder: Any = datasets.load_dataset_builder(folder)
    except ValueError as error:
        if "Config name is missing" not in str(error):
            raise
        several = ", ".join(datasets.get_dataset_config_names(folder))
        raise DataError(
            f"{name} holds several datasets ({several}); copy the files of one into a folder of "
            "its own and name that: --dataset path/to/folder."
        ) from None
    streams = {str(split): stream for split, stream in _streams(builder).items()}
    splits: dict[str, IterableDataset] = {}
    unused: dict[str, list[str]] = {}
    for split, stream in streams.items():
        kind = SPLIT_OF.get(split.casefold(), "train" if len(streams) == 1 else None)
        if kind and kind not in splits:
            splits[kind] = stream
        else:
            unused.setdefault("being splits of other names", []).append(split)
    return Found(splits, unused)


def _open_stored(paths: list[str]) -> IterableDataset:
    builder = Path(paths[0]).suffix.lower()[1:]
    files = {"train": [glob.escape(path) for path in paths]}
    return _streams(datasets.load_dataset_builder(builder, data_files=files))["train"]


def _read_table(path: str, within: str | None) -> tuple[Dataset, list[str]] | None:
    """A table of text with its column of picture files, and those; None if it names no picture.

    Args:
        path: Of the table, from whose folder on pictures are named.
        within: A folder that they must lie in: what was downloaded must not name other files.
    """
    kind = Path(path).suffix.lower()
    try:
        if kind in DELIMITERS:
            # `datasets` takes a class called "null" or "NA" for a gap.
            options: Any = dict(
                parse_options=csv.ParseOptions(delimiter=DELIMITERS[kind]),
                convert_options=csv.ConvertOptions(null_values=[""]),
            )
            table = csv.read_csv(path, **options)
        else:
            text = Path(path).read_text(encoding="utf-8-sig")
            lines = text.splitlines() if kind == ".jsonl" else []
            rows = [json.loads(one) for one in lines if one.strip()] if lines else json.loads(text)
            table = pa.Table.from_pylist(rows)
        found = Dataset(table)
    except (AttributeError, LookupError, TypeError, ValueError):  # no table at all
        return None
    for column, kind_of in found.features.items():
        if getattr(kind_of, "dtype", "") != "string" or not len(found):
            continue
        files = [os.path.join(os.path.dirname(path), one or "") for one in found[column]]
        outside = within and any(
            not os.path.normpath(one).startswith(within + os.sep) for one in files
        )
        if os.path.isfile(files[0]) and not outside:
            return _with_files(found, column, files), files
    return None


def _streams(builder: Any) -> dict[str, IterableDataset]:
    if hasattr(builder.config, "fragment_scan_options"):
        # Otherwise pyarrow keeps what it has read of a file until its end.
        builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
    streams = builder.as_streaming_dataset()
    return {k: v if v.features else v._resolve_features() for k, v in streams.items()}


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
    """The file of an image that a stream gives as its bytes or as a path, perhaps inside of a zip.

    Raises:
        ImageError: If the row holds none, or the zip is damaged there.
        OSError: If there is no such file.
    """
    if encoded is None or (encoded["bytes"] is None and encoded["path"] is None):
        raise ImageError("The row holds no image.")
    if encoded["bytes"] is not None:
        return encoded["bytes"]
    path: str = encoded["path"]
    if not path.startswith("zip://"):
        with open(path, "rb") as file:
            return file.read()
    entry, _, archive = path.removeprefix("zip://").rpartition("::")
    try:
        opened = _zip(archive)
        if opened.getinfo(entry).file_size > MOST_BYTES:
            raise ImageError(f"{entry} in {archive} is too large; pack a smaller one.")
        return opened.read(entry)
    except (KeyError, *DAMAGED_ZIP) as error:
        raise ImageError(f"{entry} in {archive} cannot be unpacked ({error}).") from None


@lru_cache(8)
def _zip(path: str) -> ZipFile:
    """Kept open: each time, the list of its files would be read anew. Threads may share it."""
    return ZipFile(path)


def find_columns(
    name: str, features: dict[str, Any], image: str | None, label: str | None
) -> tuple[str, str]:
    """The columns of images and labels: those asked for, or found by type and name.

    Raises:
        DataError: If there is none, or the one asked for is of another type.
    """
    images = [column for column, kind in features.items() if _holds_files(kind)]
    classes = [column for column, kind in features.items() if isinstance(kind, ClassLabel)]
    plain = [
        column
        for column, kind in features.items()
        if isinstance(kind, Value)
        and any(word in kind.dtype for word in ("string", "int", "bool", "float"))
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


def _holds_files(kind: Any) -> bool:
    """Whether a column holds image files: as `datasets` stores them, or as pandas does."""
    stored = isinstance(kind, dict) and kind.keys() == {"bytes", "path"}
    return stored or isinstance(kind, Image) or getattr(kind, "dtype", "").endswith("binary")


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
        problem = f"{len(values):,} different values" if len(values) > MOST_CLASSES else ""
        problem = next((str(v) for v in values if isinstance(v, float) and v % 1), problem)
        if problem:
            raise DataError(
                f"The column {column!r} of {name} holds {problem}, which cannot be classes; name "
                "the right one with --label-column."
            )
        # Below zero means "not known" wherever labels are numbers, and becomes an error when read.
        known = sorted(v for v in values if v is not None and (isinstance(v, str) or v >= 0))
        numbers = {value: i for i, value in enumerate(known)}
        names = [str(int(v)) if isinstance(v, float) else str(v) for v in known]
        to_label = lambda value: numbers.get(value, -1)  # noqa: E731
    if len(names) < 2:
        raise DataError(
            f"The column {column!r} of {name} has only the class {', '.join(names)}; a classifier "
            "needs two or more. Choose another column with --label-column."
        )
    return tuple(names), to_label
