"""Hostile files, one after the other, to one running page: what it says, how long, how much memory.

    python -m benchmarks.hostile

Single files go over the page's API, and through the code of the tab "Classify"; archives through
that of "Many images", both in this process. Needs Linux, which tells the most memory that a process
has held. Writes hostile.json in benchmarks/results.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from benchmarks._common import ROOT, held, options, write
from benchmarks.hostile_files import ARCHIVES, FILES
from benchmarks.load import ASK, FILE, running
from model.utils.errors import ImageError
from web import many
from web.answers import read
from web.models import Models
from web.site import Site

SLOW, LARGE = 2.0, 200.0  # seconds and MiB that no file may take
WRONG = re.compile(r'^$|Traceback|went wrong|"error": null')
Rows = dict[str, dict[str, Any]]


def told(
    makers: Mapping[str, Callable[[], bytes]], ask: Callable[[bytes], str], process: int
) -> Rows:
    """What was said about files, in what time, and for how much memory of the process."""
    rows, proc = {}, Path(f"/proc/{process}")
    for name, make in tqdm(makers.items()):
        content = make()
        (proc / "clear_refs").write_text("5")  # the most memory held counts from now on
        before, began = held(process), time.perf_counter()
        said = ask(content)
        seconds = time.perf_counter() - began
        peak = re.findall(r"VmHWM:\s+(\d+)", (proc / "status").read_text())
        mib = int(peak[0]) / 1024 - before
        rows[name] = {"seconds": seconds, "mib": mib, "said": said[:300], "bytes": len(content)}
    return rows


def over_the_api(client: httpx.Client, content: bytes) -> str:
    """Sends a file and asks about it; what the page answers."""
    sent = client.post("gradio_api/upload", files={"files": ("photo.png", content)})
    if sent.status_code != 200:
        return f"{sent.status_code}: {sent.text}"
    data = [FILE | {"path": sent.json()[0]}]
    event = client.post(ASK, json={"data": data}).json()["event_id"]
    return client.get(f"{ASK}/{event}").text


def as_the_page_reads(content: bytes) -> str:
    """What the tab "Classify", which reads pictures larger than the API does, says of a file."""
    try:
        return f"{read(content).size} pixels"
    except ImageError as error:
        return str(error)


def as_a_table(site: Site, path: Path) -> str:
    """What the tab "Many images" says of an archive."""
    *_, (progress, _) = many.named(site, [(path.name, path)], "")
    return str(progress)


def faults(rows: Rows) -> list[str]:
    """Files that took too long or too much memory, or brought out a trace."""
    return [
        f"{name}: {row['seconds']:.1f} s, {row['mib']:.0f} MiB, {row['said']!r}"
        for name, row in rows.items()
        if row["seconds"] > SLOW or row["mib"] > LARGE or WRONG.search(row["said"])
    ]


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__)
    good = (ROOT / "examples" / "ship.png").read_bytes()
    with running() as page, httpx.Client(base_url=page.url, timeout=60) as client:
        for _ in range(3):
            over_the_api(client, good)
        rows = told(FILES, lambda content: over_the_api(client, content), page.process)
        serving = '"label": "ship"' in over_the_api(client, good)
    pages = {f"{name}, page": make for name, make in FILES.items()}
    rows |= told(pages, as_the_page_reads, os.getpid())
    site = Site(Models())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.zip"

        def archived(content: bytes) -> str:
            path.write_bytes(content)
            return as_a_table(site, path)

        rows |= told(ARCHIVES, archived, os.getpid())
    found = faults(rows) + ([] if serving else ["afterwards it did not serve any more"])
    result = {
        "files": rows,
        "count": len(FILES) + len(ARCHIVES),
        "slowest_seconds": max(row["seconds"] for row in rows.values()),
        "most_mib": max(row["mib"] for row in rows.values()),
        "faults": found,
        "serving_afterwards": serving,
    }
    print({name: value for name, value in result.items() if name != "files"})
    write(args, "hostile", result)
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
