"""Writes the measured parts of RELIABILITY.md from the results of the other benchmarks.

python -m benchmarks.reliability
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm

from benchmarks._common import ROOT
from benchmarks.hostile import LARGE, SLOW
from model.hub.release import fill
from model.recipe import RECIPES
from model.utils import files, images
from web import api, archive, guard, models, uploads
from web import page as site

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "RELIABILITY.md"
NOT_MEASURED = "Not measured yet."


def survival(measured: dict[str, Any]) -> str:
    """What became of interrupted trainings."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in measured["kills"].items())
    faults = measured["faults"]
    end = "no weight differed, no file was left over" if not faults else "; ".join(faults)
    return f"{measured['total']} interruptions ({kinds}) in {_minutes(measured['seconds'])}: {end}."


def memory(measured: dict[str, Any]) -> str:
    """Whether memory grows in training."""
    return (
        f"{measured['epochs']} epochs of generated pictures: {measured['mib'][-1]:,.0f} MiB in the "
        f"end, {measured['growth_mib']:.1f} MiB at most above what was held after the second epoch."
    )


def two_machines(measured: dict[str, Any]) -> str:
    """A training over a virtual cable."""
    return (
        f"{measured['processes']} processes on two machines (network namespaces) reached "
        f"{measured['accuracy']:.1%} on the generated test pictures in "
        f"{measured['seconds']:.0f} s; {measured['wrote']} of them wrote the files."
    )


def load(measured: dict[str, Any]) -> str:
    """The page with many visitors, and with far too many."""
    busy, flood = measured["load"], measured["rush"]
    before, after = measured["calm_before"], measured["calm_after"]
    disk = max(mib for _, mib in measured["disk_mib"])
    slowest = flood["slowest_refusal"]
    held = [mib for _, mib in measured["memory_mib"]]
    late = statistics.median(held[-len(held) // 10 :])
    return "\n".join(
        (
            f"- {measured['clients']} visitors for {measured['minutes']:g} minutes, each asking "
            f"about {measured['think_seconds']:g} s after the last answer: {busy['answered']:,} "
            f"answers, {busy['refused']} refused, {busy['errors']} errors; half within "
            f"{busy['p50']:.2f} s, 95 of 100 within {busy['p95']:.2f} s.",
            f"- Memory: {held[0]:,.0f} MiB before they came, {late:,.0f} MiB in the last tenth of "
            f"that time, {measured['memory_growth_mib']:.0f} MiB more than in the first, and at "
            f"most {max(held):,.0f}; temporary files took at most {disk:,.0f} MiB "
            "(they are looked at now and then, see the limits).",
            f"- {measured['rush_clients']} visitors at the same moment, each from its own address "
            f"with a small picture: {flood['answered']} answered, {flood['refused']} asked to try "
            "again"
            + (f" (the last of them after {slowest:.2f} s)" if slowest else "")
            + f", {flood['errors']} errors.",
            f"- One visitor alone, {before['answered']} answers: half within "
            f"{1000 * before['p50']:.0f} ms before and {1000 * after['p50']:.0f} ms afterwards, 95 "
            f"of 100 within {1000 * before['p95']:.0f} and {1000 * after['p95']:.0f} ms.",
        )
    )


def hostile(measured: dict[str, Any]) -> str:
    """Files that attack."""
    faults = "; ".join(measured["faults"])
    faults = faults or "No answer held a traceback, and the page went on serving"
    return (
        f"{measured['count']} kinds, single files over the API of one page, archives by its code: "
        f"the slowest took {measured['slowest_seconds']:.2f} s (allowed: {SLOW:g}), the largest "
        f"{measured['most_mib']:.0f} MiB beside what was held (allowed: {LARGE:g}). {faults}."
    )


def fuzz(measured: dict[str, Any]) -> str:
    """Random search for inputs that break something."""
    return "\n".join(
        f"- {name}, {row['date']}: {row['runs']:,} inputs in {_minutes(row['seconds'])}, reaching "
        f"{row['features']:,} features of the code; "
        + (
            "something else than our errors came out"
            if row["broke"]
            else "only our errors came out"
        )
        + "."
        for name, row in measured["targets"].items()
    )


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "survival": survival,
    "memory": memory,
    "two_machines": two_machines,
    "load": load,
    "hostile": hostile,
    "fuzz": fuzz,
}


def limits() -> str:
    """What the page turns away, as a table."""
    mega, million = 2**20, 10**6
    rows = (
        ("one file", f"{uploads.MAX_UPLOAD // mega} MiB", "413"),
        (
            "a picture",
            f"{images.MAX_SIDE:,} pixels a side, {images.MAX_PIXELS // million} megapixels, "
            f"{models.MAX_PIXELS // million} of them in memory (JPEG files are reduced while they "
            "are read)",
            "a sentence that says so",
        ),
        (
            "a zip, many files",
            f"{archive.MOST_PICTURES} pictures, {archive.MOST_BYTES_EACH // mega} MiB each, "
            f"{archive.MOST_BYTES // mega} MiB together, unpacked",
            "the rest is left out, and said",
        ),
        (
            "one call of `/classify_batch`",
            f"{api.MOST_AT_ONCE} pictures",
            "a sentence that says so",
        ),
        ("a request without files", f"{guard.MOST_JSON // mega} MiB", "413"),
        ("questions that wait", f"{site.MAX_WAITING}", "503, try again in a few seconds"),
        (
            "requests with a body at once",
            f"{guard.AT_THE_DOOR}, and {guard.EACH} from one address",
            "503",
        ),
        (
            "a body that stops",
            f"{guard.PAUSE:g} s without a byte, {guard.LONGEST / 60:g} minutes in all",
            "408",
        ),
        (
            "temporary files",
            f"{uploads.KEPT / 60:g} minutes, {uploads.MOST_BYTES // mega:,} MiB together, "
            f"looked at after every {uploads.AFTER // mega} MiB and every {uploads.EVERY:g} s",
            "the oldest are deleted",
        ),
    )
    lines = ["| what | limit | beyond it |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def weights() -> str:
    """What a process holds and sends."""
    name = max(RECIPES.values(), key=lambda recipe: _mib(recipe.network)).network
    size = _mib(name)
    return (
        "Sharding the weights (FSDP) is not needed: weights, gradients, momentum and average of "
        f"the largest network, `{name}`, take {4 * size:.0f} MiB in each process, and what a step "
        f"exchanges are {size:.0f} MiB of gradients."
    )


def _mib(network: str) -> float:
    model = timm.create_model(network)
    return sum(4 * weight.numel() for weight in model.parameters()) / 2**20


def page(text: str, results: Path = RESULTS) -> str:
    """RELIABILITY.md with what is measured filled in."""
    parts = {"limits": limits(), "weights": weights()}
    for name, write in PARTS.items():
        path = results / f"{name}.json"
        parts[name] = NOT_MEASURED
        if path.is_file():
            measured = files.read_json(path)
            computer = measured["machine"]
            where = f"{computer['cores']} cores of {computer['cpu']}"
            parts[name] = (
                f"{write(measured)}\n\n({measured['date']}, {where}, `python -m benchmarks.{name}`)"
            )
    return fill(text, parts, PAGE.name)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def main() -> None:
    """Reads, writes."""
    files.write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))
    print(f"{PAGE.name} has been written again.")


if __name__ == "__main__":
    main()
