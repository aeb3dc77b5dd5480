"""Of programs' calls little is kept, and threads give back what they took."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

from web import memory

SHIP = str(ROOT / "examples" / "ship.png")


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_programs_are_forgotten_and_visitors_are_not() -> None:
    program = f"""
from gradio_client import Client, handle_file
from web import memory, page
from web.models import Models
memory.KEPT = 2
blocks = page.build(Models())
_, url, _ = blocks.launch(prevent_thread_lock=True, **page.settings())
held = blocks.state_holder.session_data
blocks.state_holder["visitor"]
for _ in range(4):
    Client(url, verbose=False).predict(handle_file({SHIP!r}), api_name="/classify")
print("held", len(held), "visitor" in held)
"""
    done = run(program)
    assert "held 3 True\n" in done.stdout, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_threads_share_heaps() -> None:
    """Blocks that many threads leave behind, counted by glibc itself."""
    program = """
import ctypes, threading
from web import memory
{}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(12)
def work():
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for one in threads: one.start()
for one in threads: one.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
    counts = []
    for call in ("", "memory.bound()"):
        done = run(program.format(call))
        assert done.returncode == 0, done.stderr
        counts.append(len(re.findall("<heap nr=", done.stdout)))
    assert counts[0] > memory.HEAPS
    assert 1 <= counts[1] <= memory.HEAPS
