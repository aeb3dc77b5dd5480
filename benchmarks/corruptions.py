"""How accurate a model stays on pictures damaged in the fifteen ways of CIFAR-10-C.

    python -m benchmarks.corruptions --dataset uoft-cs/cifar10

Damages the test split with the published settings (benchmarks/_corruptions.py, which says what
differs; frost is a generated ice texture, not the authors' photographs), five severities a kind,
and asks the network about each picture and its mirror image, as `Classifier` does where it has no
doubt. Kinds that training also uses are averaged apart from kinds that it never saw. Also measures
mirror images, shifts, sizes and grey pictures. Needs scipy. Writes corruptions.json to
benchmarks/results; --record draws the model card's figure too.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from benchmarks._common import DATASET, RECORD, dataset_name, options, plot, record, spread, write
from benchmarks._corruptions import CHANGES, KINDS, SEVERITIES, SIDE, change, corrupt
from model import Classifier
from model.data import open_dataset
from model.evaluation import style
from model.inference.logits import both_views
from model.utils import files
from model.utils.errors import exit_on_error

# Kinds that training shows the network too, in whatever strength. Others' published means (AugMix,
# for one) are of kinds that training never saw: compare only the others with them.
TRAINED_ON = ("gaussian_noise", "brightness", "contrast", "pixelate", "jpeg_compression")
NOTES = {
    "frost": "generated ice texture, not the authors' photographs",
    "motion_blur": "ImageMagick's algorithm, written anew",
    "snow": "its motion blur: ImageMagick's algorithm, written anew",
    "random numbers": "others than the authors': pictures agree in kind and strength",
}
BATCH_SIZE = 250
Logits = Callable[[Tensor], Tensor]
"""What is measured: uint8 (n, 3, 32, 32) -> logits (n, C), on any device."""


def measure(logits: Logits, images: Tensor, labels: Tensor, seed: int = 0) -> dict[str, Any]:
    """Accuracy on clean pictures, on each kind and severity of damage, and on harmless changes.

    Args:
        logits: See `Logits`.
        images: uint8 (N, 3, 32, 32).
        labels: True classes, int64 (N,).
        seed: Of the damage.

    Returns:
        "images", "seed"; "clean"; "kinds": by kind "severities" (five) and "mean"; "mean" over all
        kinds, "mean_trained_on", "mean_never_seen", and which were "trained_on"; "extras" by name;
        "notes". All shares are from 0 to 1.
    """

    def accuracy(some: np.ndarray) -> float:
        x = torch.from_numpy(np.ascontiguousarray(some.transpose(0, 3, 1, 2)))  # (N, 3, 32, 32)
        said = torch.cat([logits(part).argmax(dim=1).cpu() for part in x.split(BATCH_SIZE)])  # (N,)
        return round((said == labels).double().mean().item(), 6)

    plain = images.permute(0, 2, 3, 1).numpy()  # (N, 32, 32, 3)
    rows = {
        kind: [accuracy(corrupt(plain, kind, severity, seed)) for severity in SEVERITIES]
        for kind in tqdm(KINDS, desc="kinds")
    }
    means = {kind: _mean(row) for kind, row in rows.items()}
    return {
        "images": len(images),
        "seed": seed,
        "clean": accuracy(plain),
        "mean": _mean([*means.values()]),
        "mean_trained_on": _mean([means[kind] for kind in KINDS if kind in TRAINED_ON]),
        "mean_never_seen": _mean([means[kind] for kind in KINDS if kind not in TRAINED_ON]),
        "trained_on": list(TRAINED_ON),
        "kinds": {kind: {"severities": row, "mean": means[kind]} for kind, row in rows.items()},
        "extras": {name: accuracy(change(plain, name, seed)) for name in CHANGES},
        "notes": NOTES,
    }


def _mean(values: Any) -> float:
    return round(float(np.mean(values)), 6)


def draw(result: dict[str, Any]) -> Figure:
    """A bar for each kind and each harmless change, a dot for each severity."""
    title = f"Damaged pictures: {style.percent(result['mean'])} right on average"
    note = (
        f"Accuracy on {result['images']:,} test images, 15 kinds x 5 severities with the settings "
        f"of CIFAR-10-C; bars: mean of a kind, dots: its severities, line: undamaged, "
        f"{style.percent(result['clean'])}. Frost: generated ice, not the authors' photographs."
    )
    figure = style.headed_figure(7.5, 6.6, title, note)
    axes = figure.subplots()
    kinds = dict(sorted(result["kinds"].items(), key=lambda one: -one[1]["mean"]))
    never, both = (style.percent(result[f"mean_{key}"]) for key in ("never_seen", "trained_on"))
    extras = {name: {"mean": value, "severities": []} for name, value in result["extras"].items()}
    trained_on = {kind: row for kind, row in kinds.items() if kind in TRAINED_ON}
    never_seen = {kind: row for kind, row in kinds.items() if kind not in TRAINED_ON}
    for label, colour, rows in (
        (f"training never saw: {never}", style.BLUE, never_seen),
        (f"training uses too: {both}", style.RUST, trained_on),
        ("harmless changes", style.MUTED, extras),
    ):
        names = [name.replace("_", " ") for name in rows]
        values = [100 * row["mean"] for row in rows.values()]
        bars = axes.barh(names, values, 0.7, color=colour, label=label)
        axes.bar_label(bars, fmt="{:.1f}", label_type="center", color="white", fontsize=7.5)
        for name, row in zip(names, rows.values(), strict=True):
            dots = 100 * np.array(row["severities"])
            axes.plot(dots, [name] * len(dots), ".", color=style.INK, alpha=0.5)
    axes.axvline(100 * result["clean"], color=style.INK, linewidth=1, linestyle=":")
    axes.set(xlabel="% right", xlim=(0, 106))
    axes.invert_yaxis()
    style.legend_above(axes)
    return figure


def main() -> None:
    """Measures, prints, writes."""
    images, seed = (10_000, "of the test split, spread evenly"), (0, "of the damage")
    asked: Any = {"dataset": DATASET, "images": images, "seed": seed, "record": RECORD}
    args = options(__doc__, model=True, **asked)
    with exit_on_error():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        classifier = Classifier.from_pretrained(args.model, device=device)
        if (seen := classifier.image_size) != SIDE:
            sys.exit(f"{args.model} sees {seen} pixels; the settings of CIFAR-10-C are for {SIDE}.")
        test = open_dataset(dataset_name(args), image_size=SIDE).splits["test"]
        split = spread(test, args.images)
    both = partial(both_views, classifier.logits)
    result = measure(lambda x: both(x)[1], split.images, split.labels, args.seed)
    result["views"] = "the picture and its mirror image"
    for kind, row in result["kinds"].items():
        print(f"{kind:<20}", *(f"{share:6.1%}" for share in (row["mean"], *row["severities"])))
    print({key: share for key, share in result.items() if isinstance(share, float)})
    print(result["extras"])
    weights = {"weights_sha256": files.sha256(args.model / "model.safetensors")}
    write(args, "corruptions", result | weights)
    if args.record:
        plot(lambda: draw(result), args.model / "figures" / "corruptions.png")
        record(args, "corruptions", result)


if __name__ == "__main__":
    main()
