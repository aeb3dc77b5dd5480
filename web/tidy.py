"""What visitors leave behind: uploads are bounded in size and number, memory is given back."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gradio.utils import get_upload_folder

from model.utils.memory import give_back

MOST_BYTES = 2**30  # of all uploads together; beyond, the oldest are deleted
MOST_FILES = 10_000
BROKEN_OFF = 300.0  # seconds without a byte after which nobody is sending a file any more
EVERY = 60.0  # seconds between looks

_sweeping = threading.Lock()


@dataclass(frozen=True, order=True)
class _File:
    written: float
    size: int
    path: Path


def up() -> None:
    """Removes files that are too many, and gives freed memory back."""
    sweep()
    give_back()


def sweep(most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> int:
    """Deletes the oldest uploads until the others are within bounds, and what was broken off.

    Gradio receives a file in the folder of uploads itself and then moves it into a folder of its
    own there; nobody else removes what was not received to its end.

    Args:
        most_bytes: That may stay.
        most_files: That may stay.

    Returns:
        How many files were deleted.
    """
    with _sweeping:
        top = Path(get_upload_folder())
        late = time.time() - BROKEN_OFF
        doomed = [file for file in _files(top) if file.written < late]
        uploads = deque(sorted(file for folder in _folders(top) for file in _files(folder)))
        size = sum(file.size for file in uploads)
        while uploads and (size > most_bytes or len(uploads) > most_files):
            doomed.append(uploads.popleft())
            size -= doomed[-1].size
        for file in doomed:
            with suppress(OSError):  # gradio deletes old ones, too
                file.path.unlink()
                if file.path.parent != top:
                    file.path.parent.rmdir()
        return len(doomed)


def keep() -> None:
    """Tidies up again and again, in a thread of its own, as long as the program runs."""

    def run() -> None:
        while True:
            time.sleep(EVERY)
            up()

    threading.Thread(target=run, name="tidy", daemon=True).start()


def _files(folder: Path) -> Iterator[_File]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield _File(status.st_mtime, status.st_size, Path(entry.path))


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []
