"""The page under load: many visitors for minutes, then far too many at once, then calm again.

    python -m benchmarks.load

Starts `python app.py` and asks it as programs do: send a photo, ask, wait for the answer. The
photos are made here, of the sizes that phones and web pages have, and no two are the same. Clients
and page share the machine, a Linux one. Nothing else should run beside them. Writes load.json in
benchmarks/results.
"""

import argparse
import asyncio
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

from benchmarks._common import ROOT, held, options, started, write

SIZES = ((4000, 3000), (3000, 4000), (1600, 1200), (1024, 768), (800, 600), (480, 360), (256, 256))
ASK = "gradio_api/call/classify"
FILE = {"meta": {"_type": "gradio.FileData"}}
CALM = 20  # questions, one after the other, before and after the rush
EVERY = 2.0  # seconds between looks at the page's memory and disk
THINK = 1.0  # seconds that a visitor looks at an answer, on average
PATIENCE = aiohttp.ClientTimeout(120)


ANSWERED, REFUSED = "answered", "refused"
Outcome = tuple[str, float]
"""What became of a question, `ANSWERED`, `REFUSED` or what went wrong, and after what seconds."""


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """The numbers of a phase, times in seconds."""
    seconds = [after for what, after in outcomes if what == ANSWERED]
    refused = [after for what, after in outcomes if what == REFUSED]
    errors = [what for what, _ in outcomes if what not in (ANSWERED, REFUSED)]
    found: dict[str, Any] = {
        "answered": len(seconds),
        "refused": len(refused),
        "errors": len(errors),
        "first_errors": errors[:3],
        "slowest_refusal": max(refused, default=None),
    }
    if len(seconds) > 1:
        cuts = statistics.quantiles(seconds, n=100)
        found |= {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}
    return found


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


@dataclass
class Page:
    """A running page, watched from outside."""

    url: str
    uploads: Path
    """Its folder of temporary files."""
    process: int
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since `watch` began, and MiB."""
    disk: list[tuple[float, float]] = field(default_factory=list)

    def visitor(self, number: int = 0) -> aiohttp.ClientSession:
        """A visitor with an address of its own: on Linux all of 127.0.0.0/8 is this machine."""
        address = f"127.0.{number // 200}.{number % 200 + 1}"
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        return aiohttp.ClientSession(self.url, connector=connector, timeout=PATIENCE)

    async def ask(self, visitor: aiohttp.ClientSession, photo: bytes) -> Outcome:
        """Sends a photo that was never sent before, and asks about it."""
        form = aiohttp.FormData()
        content = photo + os.urandom(16)
        form.add_field("files", content, filename="a.jpg", content_type="image/jpeg")
        began = time.perf_counter()
        try:
            status, text = await _told(visitor.post("gradio_api/upload", data=form))
            if status == 200:
                data = [FILE | {"path": json.loads(text)[0]}]
                status, text = await _told(visitor.post(ASK, json={"data": data}))
            if status == 200:
                status, text = await _told(visitor.get(f"{ASK}/{json.loads(text)['event_id']}"))
        except (aiohttp.ClientError, TimeoutError) as error:
            status, text = 0, f"{type(error).__name__}: {error}"
        what = f"{status}: {text[:300]}"
        if status == 503 and "try again" in text:
            what = REFUSED
        elif status == 200 and '"label"' in text:
            what = ANSWERED
        return what, time.perf_counter() - began

    async def watch(self) -> None:
        """Notes memory and disk of the page, again and again."""
        began = time.monotonic()
        while True:
            now = time.monotonic() - began
            self.memory.append((now, held(self.process)))
            self.disk.append((now, _stored(self.uploads) / 2**20))
            await asyncio.sleep(EVERY)


@contextmanager
def running() -> Iterator[Page]:
    """Starts the page in a process of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started("app.py", GRADIO_TEMP_DIR=folder) as (process, url),
    ):
        yield Page(url, Path(folder), process)


async def calm(page: Page, photos: list[bytes]) -> list[Outcome]:
    """One visitor, one question after the other."""
    async with page.visitor() as one:
        return [await page.ask(one, photos[i % len(photos)]) for i in range(CALM)]


async def crowd(page: Page, photos: list[bytes], clients: int, seconds: float) -> list[Outcome]:
    """Visitors who each ask, look at the answer for a while, and ask again."""
    found: list[Outcome] = []
    end = time.monotonic() + seconds

    async def visitor(number: int) -> None:
        chance = random.Random(number)
        async with page.visitor(number) as one:
            await asyncio.sleep(chance.uniform(0, THINK))
            while time.monotonic() < end:
                found.append(await page.ask(one, chance.choice(photos)))
                await asyncio.sleep(chance.uniform(0.5, 1.5) * THINK)

    await asyncio.gather(*(visitor(i) for i in range(clients)))
    return found


async def rush(page: Page, photos: list[bytes], clients: int) -> list[Outcome]:
    """Everybody asks once, at the same moment."""
    start, small = asyncio.Event(), photos[-3:]

    async def visitor(number: int) -> Outcome:
        async with page.visitor(number) as one:
            await start.wait()
            return await page.ask(one, small[number % len(small)])

    tasks = [asyncio.create_task(visitor(i)) for i in range(clients)]
    await asyncio.sleep(1)
    start.set()
    return await asyncio.gather(*tasks)


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


async def measure(page: Page, args: argparse.Namespace) -> dict[str, Any]:
    """All phases in turn."""
    photos = photographs()
    await calm(page, photos)  # the first answers prepare
    before = await calm(page, photos)
    watch = asyncio.create_task(page.watch())
    load = await crowd(page, photos, args.clients, 60 * args.minutes)
    grown = [mib for _, mib in page.memory]
    flood = await rush(page, photos, args.rush)
    after = await calm(page, photos)
    if watch.done():
        watch.result()  # raises what ended it early
    watch.cancel()
    tenth = max(1, len(grown) // 10)
    growth = statistics.median(grown[-tenth:]) - statistics.median(grown[:tenth])
    return {
        "clients": args.clients,
        "minutes": args.minutes,
        "think_seconds": THINK,
        "photo_bytes": [len(photo) for photo in photos],
        "load": summary(load),
        "memory_growth_mib": growth,
        "memory_mib": page.memory,
        "disk_mib": page.disk,
        "rush_clients": args.rush,
        "rush": summary(flood),
        "calm_before": summary(before),
        "calm_after": summary(after),
    }


def main() -> None:
    """Measures, prints, writes."""
    clients, rush = (20, "visitors"), (500, "visitors at once")
    args = options(__doc__, clients=clients, minutes=(10.0, "that they stay"), rush=rush)
    with running() as page:
        result = asyncio.run(measure(page, args))
    for phase in ("calm_before", "load", "rush", "calm_after"):
        print(f"{phase:<12}", json.dumps(result[phase]))
    print(f"memory grew by {result['memory_growth_mib']:.1f} MiB")
    write(args, "load", result)


if __name__ == "__main__":
    main()
