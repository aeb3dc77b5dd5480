"""How glibc, the C library of most Linux systems, deals with memory that was freed."""

import ctypes
import sys
from typing import Any

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX, ARENA_MAX = -1, -2, -4, -8  # names and numbers of malloc.h


def keep_memory() -> bool:
    """Lets this process use freed memory again instead of giving it back to the system.

    glibc maps every tensor above 32 MiB anew and the system clears each page at its first touch,
    in every layer of every step: with networks this small, a tenth of the time.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    return _set({MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 2**28, ARENA_MAX: 1})


def limit_arenas() -> bool:
    """Lets all threads share one arena; call it before threads have begun to use more.

    By default there are up to eight a core, and what threads freed in one is of no use to the
    others: a server with many threads holds more than it needs.

    Returns:
        Whether the C library took the setting; False where it is not glibc.
    """
    return _set({ARENA_MAX: 1})


def give_back() -> bool:
    """Gives freed memory back to the system, which takes milliseconds.

    Returns:
        Whether there was something to give back; False where the C library is not glibc.
    """
    trim = _function("malloc_trim")
    return trim is not None and trim(0) == 1


def _set(options: dict[int, int]) -> bool:
    mallopt = _function("mallopt")
    return mallopt is not None and all([mallopt(*option) == 1 for option in options.items()])


def _function(name: str) -> Any:
    """Of the C library; None where it has no such function, as musl has none of these."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
