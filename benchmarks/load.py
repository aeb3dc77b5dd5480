"""The page under load: many visitors for minutes, then far too many at once, then calm again.

    python -m benchmarks.load

Starts `python app.py` and asks it as programs do: send a photo, ask, wait for the answer. The
photos are made here, of the sizes that phones and web pages have, and no two are the same. Clients
and page share the machine. Nothing else should run beside them. Writes benchmarks/results/load.json
and load.png.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks._common import ROOT
from model.evaluation import style
from model.utils import files
from model.utils.machine import machine, versions

TARGET = ROOT / "benchmarks" / "results" / "load"
SIZES = ((4000, 3000), (3000, 4000), (1600, 1200), (1024, 768), (800, 600), (480, 360), (256, 256))
ASK = "gradio_api/call/classify"
CALM = 20  # questions, one after the other, before and after the rush
EVERY = 2.0  # seconds between looks at the page's memory and disk
PATIENCE = 120.0


@dataclass
class Asked:
    """What became of the questions of a phase."""

    seconds: list[float] = field(default_factory=list)
    """Of those that were answered."""
    refused: list[float] = field(default_factory=list)
    """Seconds until those heard that the page is busy."""
    errors: list[str] = field(default_factory=list)


def photographs(seed: int = 0) -> list[bytes]:
    """JPEG files made of the examples, enlarged, with a sensor's noise."""
    rng, found = np.random.default_rng(seed), []
    examples = sorted((ROOT / "examples").glob("*.png"))
    for i, size in enumerate(SIZES):
        image = Image.open(examples[i % len(examples)]).convert("RGB").resize(size)
        noise = rng.normal(0, 6, (size[1] // 2, size[0] // 2, 3))
        noisy = np.asarray(image) + noise.repeat(2, axis=0).repeat(2, axis=1)
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


class Page:
    """A running page, watched from outside.

    Args:
        url: Where it is.
        uploads: Its folder of temporary files.
        process: Its number.
    """

    def __init__(self, url: str, uploads: Path, process: int) -> None:
        self.url, self.uploads, self.process = url, uploads, process
        self.memory: list[tuple[float, float]] = []
        self.disk: list[tuple[float, float]] = []
        self.began = time.monotonic()
        self._numbers = itertools.count()

    def visitor(self, number: int = 0) -> aiohttp.ClientSession:
        """A visitor with an address of its own."""
        connector = aiohttp.TCPConnector(local_addr=(_address(number), 0))
        patience = aiohttp.ClientTimeout(PATIENCE)
        return aiohttp.ClientSession(self.url, connector=connector, timeout=patience)

    async def ask(self, visitor: aiohttp.ClientSession, photo: bytes, asked: Asked) -> None:
        """Sends a photo that was never sent before, asks about it, and notes what came of it."""
        form = aiohttp.FormData()
        content = photo + b"%d-%d" % (time.monotonic_ns(), next(self._numbers))
        form.add_field("files", content, filename="a.jpg", content_type="image/jpeg")
        began = time.perf_counter()
        try:
            status, text = await _told(visitor.post("gradio_api/upload", data=form))
            if status == 200:
                data = [{"path": json.loads(text)[0], "meta": {"_type": "gradio.FileData"}}]
                status, text = await _told(visitor.post(ASK, json={"data": data}))
            if status == 200:
                status, text = await _told(visitor.get(f"{ASK}/{json.loads(text)['event_id']}"))
        except (aiohttp.ClientError, TimeoutError) as error:
            asked.errors.append(f"{type(error).__name__}: {error}")
            return
        seconds = time.perf_counter() - began
        if status == 503 and "try again" in text:
            asked.refused.append(seconds)
        elif status == 200 and '"label"' in text:
            asked.seconds.append(seconds)
        else:
            asked.errors.append(f"{status}: {text[:300]}")

    async def watch(self) -> None:
        """Notes memory and disk of the page, again and again."""
        async with self.visitor() as visitor:
            while True:
                text = (await _told(visitor.get("metrics")))[1]
                (found,) = re.findall(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)
                now = time.monotonic() - self.began
                self.memory.append((now, float(found) / 2**20))
                self.disk.append((now, _stored(self.uploads) / 2**20))
                await asyncio.sleep(EVERY)


@contextmanager
def running() -> Iterator[Page]:
    """Starts the page in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        uploads, log = Path(folder) / "uploads", Path(folder) / "log"
        uploads.mkdir()
        env = {**os.environ, "GRADIO_TEMP_DIR": str(uploads), "PYTHONUNBUFFERED": "1"}
        line = [sys.executable, "app.py"]
        with (
            log.open("w") as output,
            subprocess.Popen(line, cwd=ROOT, env=env, stdout=output, stderr=output) as server,
        ):
            try:
                while not (told := re.search(r"The page is at (\S+)", log.read_text())):
                    if server.poll() is not None:
                        sys.exit(f"app.py ended early: {log.read_text()}")
                    time.sleep(0.1)
                yield Page(told[1], uploads, server.pid)
            finally:
                server.terminate()


async def calm(page: Page, photos: list[bytes]) -> Asked:
    """One visitor, one question after the other."""
    asked = Asked()
    async with page.visitor() as one:
        for i in range(CALM):
            await page.ask(one, photos[i % len(photos)], asked)
    return asked


async def crowd(page: Page, photos: list[bytes], clients: int, seconds: float) -> Asked:
    """Visitors who each ask, look at the answer for a while, and ask again."""
    asked, end = Asked(), time.monotonic() + seconds

    async def visitor(number: int) -> None:
        chance = random.Random(number)
        async with page.visitor(number) as one:
            await asyncio.sleep(chance.uniform(0, THINK))
            while time.monotonic() < end:
                await page.ask(one, chance.choice(photos), asked)
                await asyncio.sleep(chance.uniform(0.5, 1.5) * THINK)

    await asyncio.gather(*(visitor(i) for i in range(clients)))
    return asked


async def rush(page: Page, photos: list[bytes], clients: int) -> Asked:
    """Everybody asks once, at the same moment."""
    asked, small = Asked(), photos[-3:]

    async def visitor(number: int) -> None:
        async with page.visitor(number) as one:
            await start.wait()
            await page.ask(one, small[number % len(small)], asked)

    start = asyncio.Event()
    tasks = [asyncio.create_task(visitor(i)) for i in range(clients)]
    await asyncio.sleep(1)
    start.set()
    await asyncio.gather(*tasks)
    return asked


async def _told(asking: Any) -> tuple[int, str]:
    async with asking as answer:
        return answer.status, await answer.text()


def _stored(folder: Path) -> int:
    """Bytes in a folder from which files vanish meanwhile."""
    total = 0
    for top, _, names in os.walk(folder):  # which passes over folders that are gone
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(top, name)).st_size
    return total


def _address(number: int) -> str:
    """An address of this machine for each visitor; on Linux all of 127.0.0.0/8 is."""
    return f"127.0.{number // 200}.{number % 200 + 1}" if sys.platform == "linux" else "127.0.0.1"


THINK = 1.0  # seconds that a visitor looks at an answer, on average


async def measure(page: Page, args: argparse.Namespace) -> dict[str, Any]:
    """All phases in turn."""
    photos = photographs()
    await calm(page, photos)  # the first answers prepare
    before = await calm(page, photos)
    page.began = time.monotonic()
    watch = asyncio.create_task(page.watch())
    load = await crowd(page, photos, args.clients, 60 * args.minutes)
    ended = time.monotonic() - page.began
    flood = await rush(page, photos, args.rush)
    after = await calm(page, photos)
    if watch.done():
        watch.result()  # raises what ended it early
    watch.cancel()
    grown = [mib for at, mib in page.memory if at <= ended]
    settled = max(1, len(grown) // 10)
    return {
        "clients": args.clients,
        "minutes": args.minutes,
        "think_seconds": THINK,
        "photo_bytes": [len(photo) for photo in photos],
        "load": _summary(load),
        "memory_growth_mib": statistics.median(grown[-settled:])
        - statistics.median(grown[:settled]),
        "memory_mib": page.memory,
        "disk_mib": page.disk,
        "rush_clients": args.rush,
        "rush": _summary(flood),
        "calm_before": _summary(before),
        "calm_after": _summary(after),
    }


def _summary(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = {
        "answered": len(asked.seconds),
        "refused": len(asked.refused),
        "errors": len(asked.errors),
        "first_errors": asked.errors[:3],
        "slowest_refusal": max(asked.refused, default=None),
    }
    if len(asked.seconds) > 1:
        cuts = statistics.quantiles(asked.seconds, n=100)
        found |= {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(asked.seconds)}
    return found


def plot(result: dict[str, Any]) -> Figure:
    """Memory and temporary files over time."""
    computer, load = result["machine"], result["load"]
    note = (
        f"{result['clients']} visitors for {result['minutes']:g} minutes, {load['answered']:,} "
        f"answers, then {result['rush_clients']} at once; {computer['cores']} cores of "
        f"{computer['cpu']}"
    )
    figure = style.headed_figure(7.2, 3.2, "The page under load", note)
    memory, disk = figure.subplots(1, 2)
    for axes, rows, title in (
        (memory, result["memory_mib"], "memory, MiB"),
        (disk, result["disk_mib"], "temporary files, MiB"),
    ):
        axes.plot([at / 60 for at, _ in rows], [mib for _, mib in rows], color=style.BLUE)
        axes.set(xlabel="minutes", title=title, ylim=(0, None))
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=10, help="default: %(default)s")
    parser.add_argument("--rush", type=int, default=500, help="at once (default: %(default)s)")
    args = parser.parse_args()
    with running() as page:
        result = asyncio.run(measure(page, args))
    result |= {"machine": machine(), "versions": versions()}
    result["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    files.write_json(TARGET.with_suffix(".json"), result)
    with matplotlib.rc_context(style.STYLE):
        style.save(plot(result), TARGET.with_suffix(".png"))
    for phase in ("calm_before", "load", "rush", "calm_after"):
        print(f"{phase:<12}", json.dumps(result[phase]))
    print(f"memory grew by {result['memory_growth_mib']:.1f} MiB")


if __name__ == "__main__":
    main()
