"""What lies in a dataset's folder: which files are its pictures and tables, and which are not."""

import os
import re
import zipfile
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
Parts = tuple[str, ...]  # of a path, from the dataset's folder on
File = tuple[Parts, str]  # and where it can be opened


@dataclass
class Listing:
    """The files of each split, and those of no use."""

    pictures: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Class and path of each picture in class folders, of each split."""
    tables: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Paths of tables, of each split; empty where the pictures are taken."""
    unused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Names of files that are not used, under the reason why."""

    @property
    def classes(self) -> list[str]:
        """Names of the class folders of the training images, or of the only split."""
        found = self.pictures.get("train") or next(iter(self.pictures.values()), [])
        return sorted({name for name, _ in found})


def list_folder(folder: Path) -> Listing:
    """Finds the pictures or tables of a dataset; `datasets` would guess, and tell nobody.

    Folders named in `SPLITS` at the top level, in any case, are splits if they hold class folders.
    The first folder below is the class, whatever lies in it. Tables are taken from the top level,
    a folder of a split, or one other folder, such as data/; their names tell splits.

    Raises:
        DataError: If a zip is damaged, or several datasets lie here.
    """
    files = list(_files(folder, ()))
    listing = Listing()
    _sort_pictures(files, listing)
    stored, written = (_sort_tables(files, kinds) for kinds in (STORED, WRITTEN))
    # Parquet files are what a dataset on the hub consists of, and figures may lie beside them. A
    # table of text is only needed where no class folders tell what the pictures show.
    listing.tables = stored or (written if len(listing.classes) < 2 else {})
    if listing.tables:
        listing.unused.clear()
        listing.pictures.clear()
    used = {path for paths in listing.tables.values() for path in paths}
    used |= {path for pairs in listing.pictures.values() for _, path in pairs}
    told = {"README.md"} | {name for names in listing.unused.values() for name in names}
    for parts, path in files:
        name = "/".join(parts)
        if listing.tables and listing.tables == written and _is_picture(parts):
            continue  # the table tells which of them are used
        if path not in used and name not in told:
            listing.unused[_why_not(parts, path, listing)].append(name)
    return listing


def _files(folder: Path, parts: Parts, above: Parts = ()) -> Iterator[File]:
    """Every file below a folder, in the order of names; links are followed, hidden files not."""
    above = (*above, os.path.realpath(folder))  # a link to one of these leads round and round
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        here = (*parts, entry.name)
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            if os.path.realpath(entry) not in above:
                yield from _files(Path(entry), here, above)
        elif not parts and entry.name.lower().endswith(".zip"):
            yield from _entries(entry.path, entry.name[:-4])
        else:
            yield here, entry.path


def _entries(archive: str, stem: str) -> Iterator[File]:
    """The files in a zip, as if it were a folder: that of a split if its name is a split's."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(info.filename for info in opened.infolist() if not info.is_dir())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive} cannot be read ({error}); download or pack it again.") from None
    listed = [(tuple(name.split("/")), name) for name in names]
    if {parts[0] for parts, _ in listed} == {stem}:  # as when a folder is zipped from outside
        listed = [(parts[1:], name) for parts, name in listed]
    split = (stem,) if stem.casefold() in SPLIT_OF else ()
    for parts, name in listed:
        if parts and not any(part.startswith((".", "__MACOSX")) for part in parts):
            yield (*split, *parts), f"zip://{name}::{archive}"


def _is_picture(parts: Parts) -> bool:
    Image.init()
    return Image.EXTENSION.get(Path(parts[-1]).suffix.lower()) in FORMATS


def _is_usable(parts: Parts, path: str) -> bool:
    """Whether this is a file, neither a pipe nor a device, whose name can be stored as text."""
    return _is_text(parts) and (path.startswith("zip:") or os.path.isfile(path))


def _is_text(parts: Parts) -> bool:
    try:
        return bool("/".join(parts).encode())
    except UnicodeEncodeError:  # Python keeps bytes that are not UTF-8 as lone surrogates
        return False


def _sort_pictures(files: list[File], listing: Listing) -> None:
    pictures = [file for file in files if _is_picture(file[0]) and _is_usable(*file)]
    # A folder "train" of pictures between "bus" and "car" is a class, and no split.
    splits = {parts[0] for parts, _ in pictures if len(parts) > 2} & {
        parts[0] for parts, _ in pictures if parts[0].casefold() in SPLIT_OF
    }
    for parts, path in pictures:
        split = SPLIT_OF[parts[0].casefold()] if parts[0] in splits else "train"
        inside = parts[1:] if parts[0] in splits else parts
        if splits and parts[0] not in splits:
            reason = f"beside the split folders {', '.join(sorted(splits))}"
            listing.unused[reason].append("/".join(parts))
        elif len(inside) < 2:
            listing.unused["being in no class folder"].append("/".join(parts))
        else:
            listing.pictures[split].append((inside[0], path))


def _sort_tables(files: list[File], kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Tables of each split; those whose names tell no split are training data, if alone."""
    named: dict[str, list[str]] = defaultdict(list)
    others: list[str] = []
    parents = set()
    for parts, path in files:
        if len(parts) > 2 or Path(parts[-1]).suffix.lower() not in kinds or "::" in path:
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
    return named or ({"train": others} if others else {})


def _why_not(parts: Parts, path: str, listing: Listing) -> str:
    if not _is_text(parts):
        return "since their names are not UTF-8"
    if not _is_usable(parts, path):
        return "being links that lead nowhere, pipes or devices"
    suffix = Path(parts[-1]).suffix.lower()
    if listing.tables and (_is_picture(parts) or suffix in STORED + WRITTEN):
        return "beside the tables that are read"
    if suffix in STORED + WRITTEN:
        return "since class folders tell what pictures show"
    return f"since {suffix or 'files without a type'} cannot be read as pictures"
