"""How accurate a model stays on pictures damaged in the fifteen ways of CIFAR-10-C.

    python -m benchmarks.corruptions --dataset uoft-cs/cifar10

Damages the test split with the published settings (benchmarks/_corruptions.py, which says what
differs; frost is a generated ice texture, not the authors' photographs), five severities a kind,
and asks the network about each picture and its mirror image, as `Classifier` does where it has no
doubt (--once: without the mirror image). Kinds that training also uses are averaged apart from
kinds that it never saw. Also measures mirror images, shifts, sizes and grey pictures. Needs scipy.
Writes corruptions.json and corruptions.png to benchmarks/results.
"""

import sys
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from benchmarks import _robustness
from benchmarks._common import add_output, arguments, dataset_name, publish, spread
from benchmarks._corruptions import SIDE
from model import Classifier
from model.data import open_dataset
from model.evaluation import style
from model.utils.errors import exit_on_error

HARMLESS = {
    "flip": "mirror image",
    "shift_1": "shifted by 1 pixel",
    "shift_2": "shifted by 2 pixels",
    "shift_4": "shifted by 4 pixels",
    "scale_0.7": "0.7 times as large",
    "scale_0.85": "0.85 times as large",
    "scale_1.2": "1.2 times as large",
    "grey": "without colour",
}


def main() -> None:
    """Measures, prints, writes."""
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--images", type=int, metavar="N", help="of the test split, spread evenly (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="that make the damage (default: 1)"
    )
    parser.add_argument(
        "--once", action="store_true", help="ask about each picture once, not its mirror image too"
    )
    add_output(parser)
    args = parser.parse_args()
    if args.images is not None and args.images < 1:
        parser.error(f"--images {args.images} is too few: name at least 1.")
    if args.seed < 0:
        parser.error(f"--seed {args.seed} must not be below 0.")
    with exit_on_error():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        classifier = Classifier.from_pretrained(args.model, device=device)
        if classifier.image_size != SIDE:
            sys.exit(
                f"{args.model} sees {classifier.image_size} pixels; the settings of CIFAR-10-C are "
                f"for {SIDE}."
            )
        source = open_dataset(dataset_name(args), image_size=SIDE)
        total = len(source.splits["test"].labels)
        split = source.splits["test"].load(spread(args.images or total, total))
        images = split.images.permute(0, 2, 3, 1).numpy()  # (N, 32, 32, 3)
        with tqdm(total=_robustness.works(len(images)), unit=" images", smoothing=0.05) as bar:

            def report(name: str, done: int) -> None:
                bar.set_description(f"{name:<20}", refresh=False)
                bar.update(done)

            result = _robustness.measure(
                classifier.logits if args.once else mirrored(classifier),
                images,
                split.labels.numpy(),
                seed=args.seed,
                workers=args.workers,
                report=report,
            )
        result["views"] = "one" if args.once else "the picture and its mirror image"
        print(_robustness.table(result))
        publish(args, "corruptions", result, lambda: draw(result))


def mirrored(classifier: Classifier) -> _robustness.Logits:
    """The mean answer to a picture and its mirror image."""

    def logits(images: Tensor) -> Tensor:
        # Half as many at a time: both then take as much memory as one batch would.
        both = [
            classifier.logits(part) + classifier.logits(part.flip(-1)) for part in images.split(250)
        ]
        return torch.cat(both) / 2  # (N, C)

    return logits


def draw(result: dict[str, Any]) -> Figure:
    """A bar for each kind, those that training uses apart, a dot for each severity."""
    kinds = result["kinds"]
    groups = {
        "training never saw": [kind for kind in kinds if kind not in result["trained_on"]],
        "training uses too": [kind for kind in kinds if kind in result["trained_on"]],
    }
    means = {
        "training never saw": result["mean_never_seen"],
        "training uses too": result["mean_trained_on"],
    }
    title = f"Damaged pictures: {style.percent(result['mean'])} right on average"
    note = (
        f"Accuracy on {result['images']:,} test images, 15 kinds x 5 severities with the settings "
        f"of CIFAR-10-C; bars: mean of a kind, dots: its severities, line: undamaged, "
        f"{style.percent(result['clean'])}. Frost: generated ice, not the authors' photographs."
    )
    figure = style.headed_figure(7.5, 6.6, title, note)
    axes = figure.subplots()
    names: list[str] = []
    places: list[float] = []
    at = 0.0
    for group, colour in zip(groups, (style.BLUE, style.RUST), strict=True):
        if not groups[group]:
            continue
        first = at
        for kind in sorted(groups[group], key=lambda kind: -kinds[kind]["mean"]):
            _bar(axes, at, kinds[kind]["mean"], colour)
            dots = [100 * value for value in kinds[kind]["severities"]]
            axes.plot(dots, [at] * len(dots), "o", color=style.INK, markersize=3, alpha=0.5)
            names, places = [*names, kind.replace("_", " ")], [*places, at]
            at += 1
        _heading(axes, first, f"{group}: {style.percent(means[group])}", colour)
        at += 1
    _heading(axes, at, "harmless changes", style.MUTED)
    for name, value in result["extras"].items():
        _bar(axes, at, value, style.MUTED)
        names, places = [*names, HARMLESS[name]], [*places, at]
        at += 1
    axes.axvline(100 * result["clean"], color=style.INK, linewidth=1, linestyle=":")
    axes.set_yticks(places, names)
    axes.set(xlabel="% right", xlim=(0, 106), ylim=(at - 0.4, -1.1))
    axes.grid(visible=False, axis="y")
    return figure


def _bar(axes: Any, at: float, value: float, colour: str) -> None:
    axes.barh(at, 100 * value, 0.7, color=colour, alpha=0.85)
    axes.text(1, at, f"{100 * value:.1f}", color="white", fontsize=7.5, va="center", weight="bold")


def _heading(axes: Any, at: float, text: str, colour: str) -> None:
    axes.text(0, at - 0.72, text, color=colour, fontsize=9, weight="bold", va="center")


if __name__ == "__main__":
    main()
