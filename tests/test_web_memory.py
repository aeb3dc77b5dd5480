"""Threads share what they freed, and give it back."""

import itertools
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

GLIBC = platform.libc_ver()[0] == "glibc"
HEAP = 64 * 2**20  # bytes that glibc reserves, and aligns to, for each arena but the first


def arenas(process: str) -> int:
    """Of a process, besides its first: reserved pieces of a size, at addresses of a kind."""
    lines = Path("/proc", process, "maps").read_text().splitlines()
    found = [re.match(r"(\w+)-(\w+) (\S+) \S+ 00:00 0\s*$", line) for line in lines]
    parts = [(int(m[1], 16), int(m[2], 16), m[3]) for m in found if m]
    return sum(
        start % HEAP == 0 and mode == "rw-p" and after == "---p" and end == HEAP + start
        for (start, middle, mode), (again, end, after) in itertools.pairwise(parts)
        if middle == again
    )


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_the_page_limits_them_before_anything_else(default_url: str) -> None:
    port = default_url.rstrip("/").rpartition(":")[2].encode()
    lines = {p.parent.name: p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline")}
    (process,) = (pid for pid, line in lines.items() if b"app.py\0--port\0" + port in line)
    assert arenas(process) <= 1


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_freed_memory_goes_back() -> None:
    """Behind a block that stays, the C library keeps what was freed until it is told."""
    program = (
        "import re\n"
        "from model.utils.memory import give_back\n"
        "mib = lambda: int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = mib()\n"
        "kept = [bytes(10_000) for _ in range(10_000)]\n"  # 100 MB
        "last = bytes(10_000)\n"
        "del kept\n"
        "held = mib() - before\n"
        "give_back()\n"
        "print(held, mib() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    held, after = done.stdout.split()
    assert int(held) > 80_000  # KiB
    assert int(after) < 20_000
