"""What lies in a dataset's folder: which files are its pictures and tables, and which are not."""

import lzma
import os
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from .errors import DataError
from .images import FORMATS

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
STORED = (".parquet", ".arrow")  # tables that hold the pictures themselves, as a rule
WRITTEN = (".csv", ".tsv", ".jsonl", ".json")  # tables that name the pictures' files
LITTER = ("._", "__MACOSX", ".DS_Store", ".git", ".cache")  # what other programs leave behind
DAMAGED_ZIP = (  # what Python raises over zips that are damaged, or made to be
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(EOFError, ValueError, RuntimeError, OSError),
)
Parts = tuple[str, ...]  # of a path, from the dataset's folder on
File = tuple[Parts, str]  # and where it can be opened


@dataclass
class Listing:
    """What a dataset's folder holds, before it is decided what of it is read."""

    files: list[File]
    split_folders: list[str] = field(default_factory=list)
    """Folders at the top level that are splits."""
    pictures: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Class and path of each picture in class folders, of each split."""
    stored: dict[str, list[str]] = field(default_factory=dict)
    """Paths of tables that may hold pictures, of each split."""
    written: dict[str, list[str]] = field(default_factory=dict)
    """Paths of tables that may name pictures, of each split."""

    @property
    def classes(self) -> list[str]:
        """Names of the class folders of the training images, or of the only split."""
        found = self.pictures.get("train") or next(iter(self.pictures.values()), [])
        return sorted({name for name, _ in found})

    def unused(self, used: set[str]) -> dict[str, list[str]]:
        """Names of all files whose paths are not among those used, under the reason why."""
        found: dict[str, list[str]] = defaultdict(list)
        for parts, path in self.files:
            hidden = any(part.startswith(".") for part in parts) and not is_picture(parts)
            if path not in used and parts != ("README.md",) and not hidden:
                found[self._why_not(parts, path)].append("/".join(parts))
        return found

    def _why_not(self, parts: Parts, path: str) -> str:
        if reason := _unusable(parts, path):
            return reason
        suffix = Path(parts[-1]).suffix.lower()
        if suffix in STORED + WRITTEN:
            return "beside what is read"
        if not is_picture(parts):
            return f"since {suffix or 'files without a type'} cannot be read as pictures"
        if self.split_folders and parts[0] not in self.split_folders:
            return f"beside the split folders {', '.join(self.split_folders)}"
        return "beside what is read" if len(parts) > 1 else "being in no class folder"


def list_folder(folder: Path) -> Listing:
    """Lists the pictures and tables of a dataset; `datasets` would guess, and tell nobody.

    Folders named in `SPLITS` at the top level, in any case, are splits if they hold class folders.
    The first folder below is the class, whatever lies in it. Tables are taken from the top level,
    a folder of a split, or one other folder, such as data/; their names tell splits.

    Raises:
        DataError: If a zip is damaged, or several datasets lie here.
    """
    listing = Listing(list(_files(folder, ())))
    usable = [file for file in listing.files if not _unusable(*file)]
    pictures = [file for file in usable if is_picture(file[0])]
    # A folder "train" of pictures between "bus" and "car" is a class, and no split.
    deep = {parts[0] for parts, _ in pictures if len(parts) > 2}
    listing.split_folders = sorted(name for name in deep if name.casefold() in SPLIT_OF)
    for parts, path in pictures:
        if not listing.split_folders and len(parts) > 1:
            listing.pictures["train"].append((parts[0], path))
        elif parts[0] in listing.split_folders and len(parts) > 2:
            listing.pictures[SPLIT_OF[parts[0].casefold()]].append((parts[1], path))
    if all(name.casefold() in SPLIT_OF for name in listing.classes):
        listing.pictures.clear()  # train/1.png, test/1.png: splits, of which a table may tell more
    listing.stored, listing.written = (_tables(usable, x) for x in (STORED, WRITTEN))
    return listing


def _files(folder: Path, parts: Parts, above: Parts = ()) -> Iterator[File]:
    """Every file and empty folder below one, in the order of names; links are followed."""
    above = (*above, os.path.realpath(folder))  # a link to one of these leads round and round
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        here = (*parts, entry.name)
        if entry.name.startswith(LITTER):
            continue
        if entry.is_dir():
            if os.path.realpath(entry) not in above:
                # An empty folder stands for itself: somebody may think that it is a class.
                yield from list(_files(Path(entry), here, above)) or [(here, entry.path)]
        elif not parts and entry.name.lower().endswith(".zip"):
            yield from _entries(entry.path, entry.name[:-4])
        else:
            yield here, entry.path


def _entries(archive: str, stem: str) -> Iterator[File]:
    """The files in a zip, as if it were a folder: that of a split if its name is a split's."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(info.filename for info in opened.infolist() if not info.is_dir())
    except DAMAGED_ZIP as error:
        raise DataError(f"{archive} cannot be read ({error}); download or pack it again.") from None
    listed = [(tuple(name.split("/")), name) for name in names]
    split = (stem,) if stem.casefold() in SPLIT_OF else ()
    # As when a folder is zipped from outside; but cat.zip may hold cat/1.png.
    if all(parts[0] == stem and (split or len(parts) > 2) for parts, _ in listed):
        listed = [(parts[1:], name) for parts, name in listed]
    for parts, name in listed:
        if parts and not any(part.startswith(LITTER) for part in parts):
            yield (*split, *parts), f"zip://{name}::{archive}"


def is_picture(parts: Parts) -> bool:
    """Whether a file's name is that of a picture that can be decoded."""
    Image.init()
    return Image.EXTENSION.get(Path(parts[-1]).suffix.lower()) in FORMATS


def _unusable(parts: Parts, path: str) -> str:
    """Why a file cannot be used whatever it holds; "" if it can."""
    try:
        "/".join(parts).encode()
    except UnicodeEncodeError:  # Python keeps bytes that are not UTF-8 as lone surrogates
        return "since their names are not UTF-8"
    if any(part.startswith(".") for part in parts):
        return "being hidden"
    if not path.startswith("zip:") and not os.path.isfile(path):
        empty = os.path.isdir(path)
        return "being empty folders" if empty else "being links that lead nowhere, pipes or devices"
    return ""


def _tables(files: list[File], kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Tables of each split; those whose names tell no split are training data."""
    named: dict[str, list[str]] = defaultdict(list)
    others: list[str] = []
    parents = set()
    for parts, path in files:
        name = parts[-1].lower()
        if len(parts) > 2 or not name.endswith(kinds) or path.startswith("zip:"):
            continue
        if name.startswith("cache-"):  # `datasets` leaves these beside what it has saved
            continue
        # train.csv, test_1.parquet, train-00000-of-00002.parquet, mnist_test.csv
        words = set(re.split(r"[-_.\s]+", Path(parts[-1]).stem.casefold())) & SPLIT_OF.keys()
        split = SPLIT_OF.get(parts[0].casefold()) if len(parts) == 2 else None
        if len(words) == 1:
            split = SPLIT_OF[words.pop()]
        if len(parts) == 2 and parts[0].casefold() not in SPLIT_OF:
            if not split:
                continue
            parents.add(parts[0])
        (named[split] if split else others).append(path)
    if len(parents) > 1:
        raise DataError(
            f"Several datasets lie here ({', '.join(sorted(parents))}); name the folder of one: "
            "--dataset path/to/folder."
        )
    if others and "train" not in named:
        named["train"] = others
    return named
