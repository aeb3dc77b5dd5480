"""What gradio remembers of programs that call the API."""

import threading
from collections import OrderedDict

import gradio as gr

MOST = 64  # more than can be answered at the same time


class ApiSessions:
    """Keeps the sessions of the latest callers of the API alone.

    Gradio holds a copy of the page's settings for each session, and every call by curl is one, as
    is every `gradio_client.Client`. The API needs nothing of them, and with as many as gradio may
    hold they would push out visitors of the page, whose choices matter. Calls that gradio refuses
    before they reach the API are not known here.

    Args:
        page: That is called.
    """

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page
        self._latest: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def seen(self, session: str | None) -> None:
        """Notes that a session calls, and drops those that have not called for the longest time."""
        if session is None:
            return
        with self._lock:
            self._latest[session] = None
            self._latest.move_to_end(session)
            while len(self._latest) > MOST:
                self._drop(self._latest.popitem(last=False)[0])

    def _drop(self, session: str) -> None:
        holder = self._page.state_holder
        with holder.lock:
            holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
