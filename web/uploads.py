"""Files from outside: only what was uploaded to this page counts, addresses are never fetched."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.utils import get_upload_folder

from model.utils.errors import ImageError

MAX_UPLOAD = 50 * 2**20  # bytes of one uploaded file
MAX_PIXELS = 20_000_000  # of a picture, once it is in memory: 80 MB
GONE = "That picture was not uploaded, or is no longer here. Upload it again."
NO_ADDRESSES = "Send the picture itself: this page does not fetch from other addresses."


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


def client_of(request: gr.Request | None) -> str | None:
    """A visitor's address; None for calls that did not come over the network."""
    client = getattr(request, "client", None)
    return getattr(client, "host", None)


def said_by(event: gr.EventData, name: str) -> Any:
    """What a browser's event says under a name; None if it does not, as it may say anything."""
    return event._data.get(name) if isinstance(event._data, dict) else None


def enclosing_tab() -> gr.Tab:
    """The tab that is being filled."""
    block = gr.context.Context.block
    while not isinstance(block, gr.Tab):
        if block is None:
            raise RuntimeError("Call this inside of a tab.")
        block = block.parent
    return block
