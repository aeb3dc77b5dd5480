"""What the benchmarks measured, as parts of README.md: written by the code, never by hand."""

import statistics
from pathlib import Path
from typing import Any

from ..utils import files


def parts(results: Path) -> dict[str, str]:
    """Markdown by the name of its place in README.md.

    Args:
        results: Folder of the benchmarks' JSON files; what is not there is left out.
    """
    found = {}
    if (path := results / "speed.json").is_file():
        found["recipes"] = recipes(files.read_json(path))
    lines = []
    for name, sentence in SENTENCES.items():
        if (path := results / f"{name}.json").is_file():
            lines.append(f"- {sentence(files.read_json(path))}")
    if lines:
        found["speed"] = "\n".join(lines)
    return found


def recipes(measured: dict[str, Any]) -> str:
    """What `benchmarks/speed.py` measured of the recipes, against the program that it names."""
    machine, peer = measured["machine"], measured["peer_seconds"]
    lines = [
        f"Trained on all 50,000 images, on {machine['cores']} cores of {machine['cpu']}; seconds "
        f"from the command's start to the saved model. The baseline is {measured['peer']}, on the "
        f"same machine in turn with ours ({_precision(measured)}); its accuracy is its "
        "authors', its time 200 times the median of all its steps, some of which ran before each "
        "of our runs. Shares are taken run by run, against the steps just before.",
        "",
        "| recipe | test, six views | one view | seconds | of the baseline's | memory | runs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    timed = {name: row for name, row in measured["recipes"].items() if row["seconds"] is not None}
    for name, row in sorted(timed.items(), key=lambda item: item[1]["seconds"]):
        lines.append(
            f"| `{name}` | {_spread(row, 'accuracy_tta')} | {_spread(row, 'accuracy')} | "
            f"{_seconds(row)} | {_share(row['share_of_peer'])} | "
            f"{row['peak_memory_mib']:,.0f} MiB | {_runs(row)} |"
        )
    if peer:
        lines.append(f"| baseline | {measured['peer_accuracy']:.2%} | | {peer:,.0f} | 1 | | |")
    return "\n".join(lines)


def _precision(measured: dict[str, Any]) -> str:
    """The number format of our runs."""
    found = {
        run["resolved"]["mixed_precision"] for runs in measured["runs"].values() for run in runs
    }
    return ", ".join(sorted(found)).replace("bf16", "bfloat16").replace("no", "float32")


def _spread(row: dict[str, Any], key: str) -> str:
    """A mean over seeds with its standard deviation, where there is one."""
    spread = row[f"{key}_stdev"]
    return f"{row[key]:.2%}" + (f" ± {100 * spread:.2f}" if spread is not None else "")


def _seconds(row: dict[str, Any]) -> str:
    spread = row["seconds_stdev"]
    return f"{row['seconds']:,.0f}" + (f" ± {spread:.0f}" if spread is not None else "")


def _share(share: float | None) -> str:
    if share is None:
        return "not measured"
    return f"1/{1 / share:.1f}" if share < 0.7 else f"{share:.2f}"


def _runs(row: dict[str, Any]) -> str:
    """Runs, and how many of them had the machine to themselves."""
    return f"{row['seeds']}" + (f", {row['timed']} timed" if row["timed"] < row["seeds"] else "")


def _inference(measured: dict[str, Any]) -> str:
    ways, batch = measured["ways"], measured["batch"]
    ours, onnx = (ways[name] for name in ("as Classifier runs it", "ONNX Runtime"))
    return (
        f"`Classifier` answers one picture of 32 x 32 pixels in "
        f"{measured['classifier_p50_ms']:.1f} ms (median; 99 of 100 in "
        f"{measured['classifier_p99_ms']:.1f}). The network alone takes {batch} at once at "
        f"{ours['images_per_second']:,.0f} pictures a second, ONNX Runtime at "
        f"{onnx['images_per_second']:,.0f} (`python -m benchmarks.inference`)."
    )


def _commands(measured: dict[str, Any]) -> str:
    rows, ratios = measured["rounds"], measured["ratios"]
    told = [
        f"`{name}` answers after {statistics.median(rows[name]):.1f} s, {ratio:.2f} times the bare "
        "imports of its libraries"
        for name, ratio in ratios.items()
    ]
    return f"{'; '.join(told)} (`python -m benchmarks.commands`)."


def _startup(measured: dict[str, Any]) -> str:
    ours = statistics.median(measured["seconds_to_tensor"])
    plain = statistics.median(measured["seconds_plain_pillow"])
    return (
        f"The {measured['images']:,} training images are read and decoded in {ours:.1f} s, "
        f"{plain / ours:.2f} times as fast as by Pillow in one thread "
        "(`python -m benchmarks.startup`, "
        "[plot](benchmarks/results/startup.png))."
    )


def _scaling(measured: dict[str, Any]) -> str:
    most = max(measured["by_count"], key=lambda row: row["images"])
    speeds = measured["by_processes"]["images_per_second"]
    one, two = (statistics.median(speeds[count]) for count in ("1", "2"))
    return (
        f"A streamed epoch of {most['images']:,} images takes {most['seconds'] / 60:.1f} minutes "
        f"and {most['peak_memory_mib'] / 1024:.1f} GiB with `cifarnet_nano`; two processes share "
        f"the same cores at {two / one:.2f} times the speed of one "
        "(`python -m benchmarks.scaling`, [plot](benchmarks/results/scaling.png))."
    )


SENTENCES = {
    "inference": _inference,
    "commands": _commands,
    "startup": _startup,
    "scaling": _scaling,
}
