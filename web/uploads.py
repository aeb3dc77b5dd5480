"""Files from outside: only what was uploaded to this page counts, within bounds, for a while."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.utils import get_upload_folder

from model.utils.errors import ImageError
from model.utils.memory import give_back

MAX_UPLOAD = 50 * 2**20  # bytes of one uploaded file
MOST_BYTES = 2**30  # of all uploads together; beyond, the oldest are deleted
LEAST_BYTES = 2**16  # that a file counts as: not too many small ones either
KEPT = 1800.0  # seconds after which uploads are deleted
BROKEN_OFF = 300.0  # seconds without a byte after which nobody is sending a file any more
EVERY, AFTER = 60.0, 64 * 2**20  # seconds, and bytes of uploads, between looks
GONE = "That picture was not uploaded, or is no longer here. Upload it again."
NO_ADDRESSES = "Send the picture itself: this page does not fetch from other addresses."

_due = threading.Event()
_came = 0  # bytes since files were last put in order


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


def sweep() -> None:
    """Deletes uploads that are old, and the oldest of the others until they are within bounds.

    Gradio receives a file in the folder of uploads itself and then moves it into a folder of its
    own there; what lies in the former for a while was not received to its end.
    """
    top, now = get_upload_folder(), time.time()
    uploads: list[tuple[float, int, str]] = []  # when they were written, bytes, paths
    for folder, _, names in os.walk(top):  # which follows no links
        for path in (os.path.join(folder, name) for name in names):
            with suppress(OSError):
                status = os.lstat(path)
                uploads.append((status.st_mtime, max(status.st_size, LEAST_BYTES), path))
    size = sum(one[1] for one in uploads)
    for written, bytes_, path in sorted(uploads):
        folder = os.path.dirname(path)
        if size > MOST_BYTES or now - written > (BROKEN_OFF if folder == top else KEPT):
            size -= bytes_
            with suppress(OSError):
                os.unlink(path)
                if folder != top:
                    os.rmdir(folder)


def received(size: int) -> None:
    """Counts what has come; after so many bytes files are put in order."""
    global _came
    _came += max(size, 2**22)  # small files take room, too: each at least a block and a folder
    if _came >= AFTER:
        _came = 0
        _due.set()


def keep_tidy(*sweeps: Callable[[], None]) -> None:
    """Puts files in order and gives freed memory back, again and again, in a thread of its own.

    Args:
        sweeps: What else is done each time.
    """

    def run() -> None:
        while True:
            _due.wait(EVERY)
            _due.clear()
            for put_in_order in (sweep, *sweeps):
                put_in_order()
            give_back()

    threading.Thread(target=run, name="tidy", daemon=True).start()
