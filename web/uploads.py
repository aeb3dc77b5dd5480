"""Files from outside: only what was uploaded to this page counts, within bounds, for a while."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.utils import get_upload_folder

from model.utils.errors import ImageError
from model.utils.memory import give_back

MAX_UPLOAD = 50 * 2**20  # bytes of one uploaded file
CACHE_CHECK, CACHE_AGE = 600, 1800  # seconds; gradio deletes uploads that are older
MOST_BYTES = 2**30  # of all uploads together; beyond, the oldest are deleted
MOST_FILES = 10_000
BROKEN_OFF = 300.0  # seconds without a byte after which nobody is sending a file any more
EVERY = 60.0  # seconds between looks
GONE = "That picture was not uploaded, or is no longer here. Upload it again."
NO_ADDRESSES = "Send the picture itself: this page does not fetch from other addresses."

_sweeping = threading.Lock()


def forbid_downloads() -> None:
    """Keeps gradio from fetching an address that a request names in the place of a file.

    Gradio does so for every component, and only refuses private addresses.
    """

    async def refuse(*args: Any, **kwargs: Any) -> str:
        raise gr.Error(NO_ADDRESSES, print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse


def upload_path(path: object) -> Path | None:
    """Where an uploaded file lies; None if it is not an upload, or is no longer there.

    Args:
        path: As a browser says it, so anything at all.
    """
    try:
        file = Path(str(path)).resolve()
        uploads = Path(get_upload_folder()).resolve()
        return file if file.is_relative_to(uploads) and file.is_file() else None
    except (OSError, ValueError):
        return None


def content_of(path: object) -> bytes:
    """Content of a file that a visitor has uploaded.

    Args:
        path: As a browser says it, so anything at all.

    Raises:
        ImageError: If it does not lie in the folder of uploads, or is no longer there.
    """
    file = upload_path(path)
    if file is None:
        raise ImageError(GONE)
    return file.read_bytes()


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
        top, late = get_upload_folder(), time.time() - BROKEN_OFF
        doomed: list[str] = []
        uploads: list[tuple[float, int, str]] = []  # when they were written, bytes, paths
        for folder, _, names in os.walk(top):  # which follows no links
            for path in (os.path.join(folder, name) for name in names):
                with suppress(OSError):  # gradio deletes old ones, too
                    status = os.lstat(path)
                    if folder != top:
                        uploads.append((status.st_mtime, status.st_size, path))
                    elif status.st_mtime < late:
                        doomed.append(path)
        size, count = sum(one[1] for one in uploads), len(uploads)
        for _, bytes_, path in sorted(uploads):
            if size <= most_bytes and count <= most_files:
                break
            doomed.append(path)
            size, count = size - bytes_, count - 1
        for path in doomed:
            with suppress(OSError):
                os.unlink(path)
                if (folder := os.path.dirname(path)) != top:
                    os.rmdir(folder)
        return len(doomed)


def tidy() -> None:
    """Removes files that are too many, and gives freed memory back."""
    sweep()
    give_back()


def keep_tidy() -> None:
    """Tidies up again and again, in a thread of its own, as long as the program runs."""

    def run() -> None:
        while True:
            time.sleep(EVERY)
            tidy()

    threading.Thread(target=run, name="tidy", daemon=True).start()
