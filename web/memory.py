"""Memory that visitors' questions took is given back."""

import ctypes
import gc
import sys
from collections import deque

import gradio as gr

# Of glibc's malloc.h: how many heaps there are, and from which size on memory is asked of the
# system, and given back to it, piece by piece.
M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
HEAPS, LARGE = 2, 2**19
KEPT = 64  # programs' latest sessions: more than can be at work at the same time


def bound() -> None:
    """Lets threads share heaps, and keeps pictures out of them, where the C library is glibc.

    By default each thread has a heap of its own, up to eight a core, and what was freed in one is
    of no use to the others: with many visitors a page would hold hundreds of MiB more.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(M_ARENA_MAX, HEAPS)
            mallopt(M_MMAP_THRESHOLD, LARGE)


def settle() -> None:
    """Tells Python that all that there is now, libraries above all, will stay.

    It then looks through what questions leave behind alone, which is quick, and so does it often.
    """
    gc.collect()
    gc.freeze()


class Passing:
    """Sessions of programs, which come back for nothing.

    Gradio remembers a page for each session, and every call of a program is one: they would take
    much memory, and push out those of visitors, whose choices matter.

    Args:
        page: That is called.
    """

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page
        self._latest: deque[str] = deque()

    def note(self, session: str | None) -> None:
        """Remembers a session that is being answered, and forgets one that was, long ago."""
        if session is None:
            return
        self._latest.append(session)
        if len(self._latest) > KEPT:
            holder, past = self._page.state_holder, self._latest.popleft()
            with holder.lock:
                holder.session_data.pop(past, None)
                holder.time_last_used.pop(past, None)
