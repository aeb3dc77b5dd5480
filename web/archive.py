"""Pictures out of uploaded files and zip archives, one at a time and never onto the disk."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from model.utils.errors import ImageError
from model.utils.listing import DAMAGED_ZIP

MOST_PICTURES = 500  # in one go
MOST_ENTRIES = 5_000  # of a zip, pictures or not
MOST_BYTES = 300 * 2**20  # of all pictures together, unpacked
MOST_BYTES_EACH = 30 * 2**20  # of one picture, unpacked
DIRECTORY_BYTES = 2 * 2**20  # of a zip's list of contents
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
END = b"PK\x05\x06"  # of a zip's closing record; the size of its list of contents is at byte 12
TAIL = 22 + 65535  # bytes in which that record lies
UTF8 = 0x800  # flag of an entry whose name is written so

Item = tuple[str, bytes | ImageError]
"""A name to show, never used as a path; and a file's content, or why it was not read."""


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
                yield name, content
        except OSError:
            yield name, ImageError("This file is no longer here; choose it again.")
    if budget.spent:
        yield "…", ImageError(budget.spent)


def _unpacked(name: str, path: Path, budget: _Budget) -> Iterator[Item]:
    """What lies in a zip. Its names are only shown, so `../` in them leads nowhere."""
    too_many = ImageError(f"This zip holds more than {MOST_ENTRIES:,} files; split it.")
    if _directory_size(path) > DIRECTORY_BYTES:
        yield name, too_many
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not _is_junk(one)]
            if len(entries) > MOST_ENTRIES:
                yield name, too_many
                return
            for entry in entries:
                if budget.spent:
                    return
                yield _name(entry), _read(archive, entry, budget)
    except DAMAGED_ZIP:
        yield name, ImageError("This zip is damaged; make it again.")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> bytes | ImageError:
    """One file of a zip; no more than the limit is unpacked, whatever size it claims to have."""
    if entry.flag_bits & 1:
        return ImageError("This file is encrypted; pack it without a password.")
    if entry.filename.lower().endswith(".zip"):
        return ImageError("A zip inside a zip is not opened; unpack it first.")
    limit = min(MOST_BYTES_EACH, budget.bytes)
    try:
        with archive.open(entry) as file:
            content = file.read(limit + 1)
    except NotImplementedError:
        budget.spend(0)
        return ImageError(
            f"This file is compressed by the rare method {entry.compress_type}; pack it by deflate."
        )
    except DAMAGED_ZIP:
        budget.spend(0)
        return ImageError("This file is damaged inside its zip; pack it again.")
    budget.spend(len(content))
    if len(content) > limit:
        return ImageError(f"This file is larger than {limit // 2**20} MB; scale it down.")
    return content


def _name(entry: zipfile.ZipInfo) -> str:
    """A name to show. Old programs write it as their system does, and do not say how that is.

    Python takes such names for cp437, the code page of the first PCs. Many are UTF-8; and where
    most letters would be common Chinese ones, they are.
    """
    raw = b"" if entry.flag_bits & UTF8 else entry.filename.encode("cp437")
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8") or entry.filename
    with suppress(UnicodeDecodeError):
        name = raw.decode("gbk")
        letters = "".join(letter for letter in name if not letter.isascii())
        if len(letters.encode("gb2312", "ignore")) > len(letters):  # two bytes each
            return name
    return entry.filename


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
