"""Writes the measured parts of RELIABILITY.md from the results of the other benchmarks.

python -m benchmarks.reliability
"""

import statistics
from pathlib import Path
from typing import Any

import timm

from benchmarks._common import RESULTS, ROOT, where
from benchmarks.hostile import LARGE, SLOW
from model.hub.release import fill
from model.recipe import RECIPES
from model.utils import files, images
from web import api, archive, guard, lessons, models, trainings, uploads
from web import page as site

PAGE = ROOT / "RELIABILITY.md"
NOT_MEASURED = "Not measured yet."
SENTENCES = {  # filled by what the benchmark of that name wrote, and by `extras`
    "survival": "{total} interruptions ({kinds}) in {time}: {faults}.",
    "memory": "{epochs} epochs of generated pictures: {held:,.0f} MiB in the end, "
    "{growth_mib:.1f} MiB at most above what was held after the second epoch.",
    "two_machines": "{processes} processes on two machines (network namespaces) reached "
    "{accuracy:.1%} on the generated test pictures in {seconds:.0f} s; {wrote} of them wrote the "
    "files.",
    "load": """\
- {clients} visitors for {minutes:g} minutes, each asking about {think_seconds:g} s after the last \
answer: {load[answered]:,} answers, {load[refused]} refused, {load[errors]} errors; half within \
{load[p50]:.2f} s, 95 of 100 within {load[p95]:.2f} s.
- Memory: {early:,.0f} MiB before they came, {late:,.0f} MiB in the last tenth of that time, \
{memory_growth_mib:.0f} MiB more than in the first, and at most {most:,.0f}; temporary files took \
at most {disk:,.0f} MiB (they are looked at now and then, see the limits).
- {rush_clients} visitors at the same moment, each from its own address with a small picture: \
{rush[answered]} answered, {rush[refused]} asked to try again{slowest}, {rush[errors]} errors.
- One visitor alone, {calm_before[answered]} answers: half within {ms[0]:.0f} ms before and \
{ms[1]:.0f} ms afterwards, 95 of 100 within {ms[2]:.0f} and {ms[3]:.0f} ms.""",
    "hostile": "{count} kinds, single files over the API of one page, archives by its code: the "
    f"slowest took {{slowest_seconds:.2f}} s (allowed: {SLOW:g}), the largest {{most_mib:.0f}} MiB "
    f"beside what was held (allowed: {LARGE:g}). {{faults}}.",
    "fuzz": "{searches}",
}
SEARCH = (
    "- {name}, {date}: {runs:,} inputs in {time}, reaching {features:,} features of the code; "
    "{end} came out."
)
NO_FAULT = {
    "survival": "no weight differed, no file was left over",
    "hostile": "No answer held a traceback, and the page went on serving",
}


def extras(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """What a sentence needs of a result in another form."""
    if name in NO_FAULT:
        faults = "; ".join(measured["faults"]) or NO_FAULT[name]
        kinds = (f"{count} {kind}" for kind, count in measured.get("kills", {}).items())
        time = _time(measured.get("seconds", 0))
        return {"faults": faults, "kinds": ", ".join(kinds), "time": time}
    if name == "memory":
        return {"held": measured["mib"][-1]}
    if name == "load":
        held = [mib for _, mib in measured["memory_mib"]]
        calm, slowest = ("calm_before", "calm_after"), measured["rush"]["slowest_refusal"]
        return {
            "early": held[0],
            "late": statistics.median(held[-len(held) // 10 :]),
            "most": max(held),
            "disk": max(mib for _, mib in measured["disk_mib"]),
            "slowest": f" (the last of them after {slowest:.2f} s)" if slowest else "",
            "ms": [1000 * measured[when][key] for key in ("p50", "p95") for when in calm],
        }
    if name == "fuzz":
        ends = ("only our errors", "something else than our errors")
        rows = [
            SEARCH.format(
                name=kind, end=ends[bool(row["broke"])], time=_time(row["seconds"]), **row
            )
            for kind, row in measured["targets"].items()
        ]
        return {"searches": "\n".join(rows)}
    return {}


def sentence(name: str, measured: dict[str, Any]) -> str:
    """What a result says."""
    return SENTENCES[name].format(**measured | extras(name, measured))


def limits() -> str:
    """What the page turns away, as a table."""
    mib, million = 2**20, 10**6
    return f"""\
| what | limit | beyond it |
| --- | --- | --- |
| one file | {uploads.MAX_UPLOAD // mib} MiB | 413 |
| a picture | {images.MAX_SIDE:,} pixels a side, {images.MAX_PIXELS // million} megapixels, \
{models.MAX_PIXELS // million} of them in memory (JPEG files are reduced while they are read) \
| a sentence that says so |
| a zip, many files | {archive.MOST_PICTURES} pictures, {archive.MOST_BYTES_EACH // mib} MiB each, \
{archive.MOST_BYTES // mib} MiB together, unpacked | the rest is left out, and said |
| one call of `/classify_batch` | {api.MOST_AT_ONCE} pictures | a sentence that says so |
| a request without files | {guard.MOST_JSON // mib} MiB | 413 |
| questions that wait | {site.MAX_WAITING} | 503, try again in a few seconds |
| requests with a body at once | {guard.AT_THE_DOOR}, and {guard.EACH} from one address | 503 |
| a body that stops | {guard.PAUSE:g} s without a byte, {guard.LONGEST / 60:g} minutes in all \
| 408 |
| temporary files | {uploads.KEPT / 60:g} minutes, {uploads.MOST_BYTES // mib:,} MiB \
together, looked at after every {uploads.AFTER // mib} MiB and every {uploads.EVERY:g} s \
| the oldest are deleted |
| what a visitor teaches | {lessons.MOST_CLASSES} classes, {lessons.MOST_PICTURES:,} pictures of \
{lessons.SIDE} pixels, {lessons.MOST_BYTES // mib} MiB; {lessons.MOST_LESSONS} visitors, \
{lessons.MOST_TOGETHER // mib:,} MiB together; {lessons.KEPT / 60:g} minutes after the last sign \
of them | a sentence that says so; then deleted |
| trainings of visitors | one at a time, {trainings.LONGEST / 60:g} minutes each | the place in \
the queue is shown; stopped and saved |"""


def weights() -> str:
    """What a process holds and sends, for the largest network of a recipe."""
    sizes = {
        one.network: sum(
            4 * weight.numel() for weight in timm.create_model(one.network).parameters()
        )
        for one in RECIPES.values()
    }
    name = max(sizes, key=lambda name: sizes[name])
    size = sizes[name] / 2**20
    return (
        "Sharding the weights (FSDP) is not needed: weights, gradients, momentum and average of "
        f"the largest network, `{name}`, take {4 * size:.0f} MiB in each process, and what a step "
        f"exchanges are {size:.0f} MiB of gradients."
    )


def page(text: str, results: Path = RESULTS) -> str:
    """RELIABILITY.md with what is measured filled in."""
    parts = {"limits": limits(), "weights": weights()} | dict.fromkeys(SENTENCES, NOT_MEASURED)
    for name in SENTENCES:
        if (path := results / f"{name}.json").is_file():
            measured = files.read_json(path)
            about = f"{measured['date']}, {where(measured['machine'])}"
            parts[name] = f"{sentence(name, measured)}\n\n({about}, `python -m benchmarks.{name}`)"
    return fill(text, parts, PAGE.name)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def main() -> None:
    """Reads, writes."""
    files.write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))
    print(f"{PAGE.name} has been written again.")


if __name__ == "__main__":
    main()
