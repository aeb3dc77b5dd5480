"""Hostile files, one after the other, to one running page: what it says, how long, how much memory.

    python -m benchmarks.hostile

Single files go over the page's API, and through the code of the tab "Classify"; archives through
that of "Many images", both in this process. Needs Linux, which tells the most memory that a process
has held. Writes benchmarks/results/hostile.json.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from benchmarks._common import ROOT, forget_memory, memory
from benchmarks.hostile_files import ARCHIVES, FILES
from benchmarks.load import ASK, running
from model.utils import files
from model.utils.errors import ImageError
from model.utils.machine import machine, versions
from web import many
from web.answers import read
from web.models import Models
from web.site import Site

TARGET = ROOT / "benchmarks" / "results" / "hostile.json"
SLOW, LARGE = 2.0, 200.0  # seconds and MiB that no file may take


def timed(process: int, ask: Callable[[], str]) -> dict[str, Any]:
    """What was said about a file, in what time, and for how much memory."""
    forget_memory(process)
    before, began = memory(process, "VmRSS"), time.perf_counter()
    said = ask()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "mib": memory(process, "VmHWM") - before, "said": said[:300]}


def over_the_api(client: httpx.Client, content: bytes) -> str:
    """Sends a file and asks about it; what the page answers."""
    sent = client.post("gradio_api/upload", files={"files": ("photo.png", content)})
    if sent.status_code != 200:
        return f"{sent.status_code}: {sent.text}"
    data = [{"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}]
    event = client.post(ASK, json={"data": data}).json()["event_id"]
    return client.get(f"{ASK}/{event}").text


def as_a_table(site: Site, path: Path) -> str:
    """What the tab "Many images" says of an archive."""
    *_, (progress, _) = many.named(site, [(path.name, path)], "")
    return str(progress)


def faults(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Files that took too long or too much memory, or brought out a trace."""
    found = []
    for name, row in rows.items():
        if row["seconds"] > SLOW:
            found.append(f"{name}: {row['seconds']:.1f} s")
        if row["mib"] > LARGE:
            found.append(f"{name}: {row['mib']:.0f} MiB")
        said = row["said"]
        if not said or any(word in said for word in ("Traceback", "went wrong", '"error": null')):
            found.append(f"{name}: {row['said']!r}")
    return found


def main() -> None:
    """Measures, prints, writes."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    good = (ROOT / "examples" / "ship.png").read_bytes()
    rows: dict[str, dict[str, Any]] = {}
    with running() as page, httpx.Client(base_url=page.url, timeout=60) as client:
        for _ in range(3):
            over_the_api(client, good)
        for name, make in tqdm(FILES.items(), desc="files"):
            content = make()
            rows[name] = timed(page.process, lambda: over_the_api(client, content))  # noqa: B023
            rows[name]["bytes"] = len(content)
        serving = '"label": "ship"' in over_the_api(client, good)
    rows |= as_the_page_reads() | archives()
    result: dict[str, Any] = {
        "files": rows,
        "count": len(FILES) + len(ARCHIVES),
        "slowest_seconds": max(row["seconds"] for row in rows.values()),
        "most_mib": max(row["mib"] for row in rows.values()),
        "faults": faults(rows) + ([] if serving else ["afterwards it did not serve any more"]),
        "serving_afterwards": serving,
        "machine": machine(),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    files.write_json(TARGET, result)
    shown = {k: result[k] for k in ("count", "slowest_seconds", "most_mib", "serving_afterwards")}
    print(json.dumps(shown, indent=2))
    if result["faults"]:
        sys.exit("\n".join(result["faults"]))


def as_the_page_reads() -> dict[str, dict[str, Any]]:
    """The rows of all single files as the tab "Classify" reads them, larger than the API does."""
    rows = {}
    for name, make in tqdm(FILES.items(), desc="as the page reads"):
        content = make()
        rows[f"{name}, page"] = timed(os.getpid(), lambda: _opened(content))  # noqa: B023
        rows[f"{name}, page"]["bytes"] = len(content)
    return rows


def _opened(content: bytes) -> str:
    try:
        return f"{read(content).size} pixels"
    except ImageError as error:
        return str(error)


def archives() -> dict[str, dict[str, Any]]:
    """The rows of all archives."""
    rows, site = {}, Site(Models())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.zip"
        for name, make in tqdm(ARCHIVES.items(), desc="archives"):
            content = make()
            path.write_bytes(content)
            rows[name] = timed(os.getpid(), lambda: as_a_table(site, path))
            rows[name]["bytes"] = len(content)
    return rows


if __name__ == "__main__":
    main()
