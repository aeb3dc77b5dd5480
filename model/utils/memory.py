"""How glibc, the C library of most Linux systems, deals with memory that was freed."""

import ctypes
import sys
from contextlib import suppress

OPTIONS = {"TRIM_THRESHOLD_": -1, "TOP_PAD_": -2, "MMAP_MAX_": -4, "ARENA_MAX": -8}  # of malloc.h
KEEP = {"MMAP_MAX_": 0, "TRIM_THRESHOLD_": 2**31 - 1, "TOP_PAD_": 2**28, "ARENA_MAX": 1}


def keep_memory() -> None:
    """Lets this process use freed memory again instead of giving it back to the system.

    glibc maps every tensor above 32 MiB anew and the system clears each page at its first touch,
    in every layer of every step: with networks this small, a tenth of the time.
    """
    _set(KEEP)


def limit_arenas() -> None:
    """Lets all threads share one arena; call it before threads have begun to use more.

    By default there are up to eight a core, and what threads freed in one is of no use to the
    others: a server with many threads holds more than it needs.
    """
    _set({"ARENA_MAX": 1})


def give_back() -> None:
    """Gives freed memory back to the system, which takes milliseconds."""
    _call("malloc_trim", 0)


def _set(options: dict[str, int]) -> None:
    for name, value in options.items():
        _call("mallopt", OPTIONS[name], value)


def _call(name: str, *values: int) -> None:
    """Calls a function of glibc; other C libraries, as musl, have none of these."""
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError):
            getattr(ctypes.CDLL(None), name)(*values)
