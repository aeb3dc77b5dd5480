"""Pictures out of uploaded files and zip archives, one at a time and never onto the disk."""

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOST_PICTURES = 500  # in one go
MOST_ENTRIES = 5_000  # of a zip, pictures or not
MOST_BYTES = 300 * 2**20  # of all pictures together, unpacked
MOST_BYTES_EACH = 30 * 2**20  # of one picture, unpacked
DIRECTORY_BYTES = 2 * 2**20  # of a zip's list of contents
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
END = b"PK\x05\x06"  # of a zip's closing record; the size of its list of contents is at byte 12
TAIL = 22 + 65535  # bytes in which that record lies


@dataclass(frozen=True)
class Item:
    """A file that may be a picture.

    Attributes:
        name: To show; never used as a path.
        content: Its bytes; None if it was not read, and `problem` says why.
        problem: A sentence, or nothing.
    """

    name: str
    content: bytes | None
    problem: str = ""


class _Budget:
    """What may still be unpacked."""

    def __init__(self) -> None:
        self.pictures, self.bytes = MOST_PICTURES, MOST_BYTES

    def spend(self, size: int) -> None:
        """Counts a picture."""
        self.pictures -= 1
        self.bytes -= size

    @property
    def spent(self) -> str:
        """Why nothing more is read, or nothing."""
        if self.pictures <= 0:
            return f"Only the first {MOST_PICTURES} pictures are read; send the rest separately."
        if self.bytes <= 0:
            return f"Only the first {MOST_BYTES // 2**20} MB are read; send the rest separately."
        return ""


def items(files: Iterable[tuple[str, Path]]) -> Iterator[Item]:
    """Reads uploaded files and what lies in zip files among them, within limits.

    Args:
        files: Names to show, and where the uploads lie.

    Yields:
        One item a file; the last one tells if a limit was reached.
    """
    budget = _Budget()
    for name, path in files:
        if budget.spent:
            break
        try:
            if zipfile.is_zipfile(path):
                yield from _unpacked(name, path, budget)
            else:
                content = path.read_bytes()
                budget.spend(len(content))
                yield Item(name, content)
        except OSError:
            yield Item(name, None, "This file is no longer here; choose it again.")
    if budget.spent:
        yield Item("…", None, budget.spent)


def _unpacked(name: str, path: Path, budget: _Budget) -> Iterator[Item]:
    """What lies in a zip. Its names are only shown, so `../` in them leads nowhere."""
    if _directory_size(path) > DIRECTORY_BYTES:
        yield Item(name, None, f"This zip lists more than {MOST_ENTRIES:,} files; split it.")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not _is_junk(one)]
            if len(entries) > MOST_ENTRIES:
                yield Item(
                    name, None, f"This zip holds more than {MOST_ENTRIES:,} files; split it."
                )
                return
            for entry in entries:
                if budget.spent:
                    return
                yield _read(archive, entry, budget)
    except (zipfile.BadZipFile, struct.error, UnicodeDecodeError, NotImplementedError):
        yield Item(name, None, "This zip is damaged; make it again.")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> Item:
    """One file of a zip; no more than the limit is unpacked, whatever size it claims to have."""
    name = entry.filename
    if entry.flag_bits & 1:
        return Item(name, None, "This file is encrypted; pack it without a password.")
    if name.lower().endswith(".zip"):
        return Item(name, None, "A zip inside a zip is not opened; unpack it first.")
    limit = min(MOST_BYTES_EACH, budget.bytes)
    try:
        with archive.open(entry) as file:
            content = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        budget.spend(0)
        return Item(name, None, "This file is damaged inside its zip; pack it again.")
    budget.spend(len(content))
    if len(content) > limit:
        return Item(name, None, f"This file is larger than {limit // 2**20} MB; scale it down.")
    return Item(name, content)


def _is_junk(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what systems put into a zip unasked."""
    path = PurePosixPath(entry.filename)
    return entry.is_dir() or path.name.startswith(".") or any(j in path.parts for j in JUNK)


def _directory_size(path: Path) -> int:
    """Bytes that the zip's list of contents claims: `zipfile` would read all of it at once."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL))
        tail = file.read()
    at = tail.rfind(END)
    return int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
