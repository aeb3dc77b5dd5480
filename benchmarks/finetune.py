"""Five new classes, of which there are few pictures: a saved network taught them, against others.

    python -m benchmarks.finetune --dataset uoft-cs/cifar100

Takes five of CIFAR-100's classes that were never outliers (`model.data.HELD_OUT`), 20, 100 and 200
pictures of each, and all test pictures of them. In turn, by `train.py` and the recipe that it
chooses by itself: from the default weights (`--init-from`), from nothing, and timm's resnet18 from
nothing, which sees 64 pixels, since it halves its input five times. Accuracy and calibration error
are those of the answers that a user gets, by an image and its mirror image; so are how many test
pictures get a confident answer, how many of those are right, and how many test pictures, and
strangers (test pictures of the other fifteen classes), are called "none". Seconds are those of
training alone. Writes finetune.json and finetune.png to benchmarks/results.
"""

import contextlib
import io
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

import train
from benchmarks._common import options, write
from model.data import HELD_OUT, ImageDataset, open_dataset
from model.evaluation import style
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import exit_on_error

CLASSES = ("apple", "bicycle", "castle", "fox", "orchid")
EACH = (20, 100, 200)  # pictures of a class
WAYS: dict[str, list[str]] = {
    "from the default weights": ["--init-from", "{model}"],
    "from nothing": [],
    "resnet18 from nothing": ["--network", "resnet18", "--image-size", "64"],
}
Scores: TypeAlias = dict[str, float]
"""accuracy, ece and seconds, and what `verdicts` gives."""


def lay_out(
    dataset: ImageDataset, classes: Sequence[str], each: int, seed: int, folder: Path
) -> None:
    """Writes class folders: `each` random training pictures of a class, all test pictures."""
    numbers = [dataset.label_names.index(name) for name in classes]
    for kind, split in dataset.splits.items():
        generator = torch.Generator().manual_seed(seed)
        for name, number in zip(classes, numbers, strict=True):
            rows = (split.labels == number).nonzero().flatten()  # (n,)
            if kind == "train":
                rows = rows[torch.randperm(len(rows), generator=generator)[:each]]
            (folder / kind / name).mkdir(parents=True)
            for row, image in zip(rows.sort().values, split.load(rows).images, strict=True):
                pixels = image.permute(1, 2, 0).numpy()  # (S, S, 3)
                Image.fromarray(pixels).save(folder / kind / name / f"{row:05}.png")


def strangers(dataset: ImageDataset) -> list[np.ndarray]:
    """Test pictures of classes that no network here was ever shown, (S, S, 3) each."""
    split = dataset.splits["test"]
    others = [dataset.label_names.index(name) for name in sorted(HELD_OUT - set(CLASSES))]
    rows = torch.isin(split.labels, torch.tensor(others)).nonzero().flatten()  # (n,)
    return list(split.load(rows).images.permute(0, 2, 3, 1).numpy())


def verdicts(run: Path, data: Path, strange: list[np.ndarray]) -> Scores:
    """Shares of verdicts of the classifier in a run's folder."""
    classify = Classifier.from_pretrained(run)
    test = sorted((data / "test").glob("*/*.png"))
    known, other = classify(test), classify(strange)
    sure = [
        answer.label == path.parent.name
        for answer, path in zip(known, test, strict=True)
        if answer.verdict == "confident"
    ]
    return {
        "confident": len(sure) / len(test),
        "confident_right": sum(sure) / len(test),  # a share of all, too
        "known_none": sum(answer.verdict == "none" for answer in known) / len(known),
        "strangers_none": sum(answer.verdict == "none" for answer in other) / len(other),
        "strangers_confident": sum(a.verdict == "confident" for a in other) / len(other),
    }


def learned(data: Path, run: Path, seed: int, *more: str) -> Scores:
    """Trains as a user would, by train.py."""
    with contextlib.redirect_stdout(io.StringIO()):
        train.main(["--dataset", str(data), "--output", str(run), "--seed", str(seed), *more])
    results = json.loads((run / "results.json").read_text())
    answers = results["test"]["calibrated"]
    seconds = results["training"]["seconds"]
    return {"accuracy": answers["accuracy"], "ece": answers["ece"], "seconds": seconds}


def draw(result: dict[str, Any]) -> Figure:
    """Accuracy over the number of pictures, a line for each way."""
    title = "Five new classes: accuracy by pictures of each"
    note = (
        f"Of CIFAR-100: {', '.join(CLASSES)}. Lines: mean of {result['seeds']} seeds; dots: each."
    )
    figure = style.headed_figure(6.4, 3.6, title, note)
    axes = figure.subplots()
    for way, colour in zip(WAYS, (style.BLUE, style.RUST, style.MUTED), strict=True):
        rows = [result["each"][str(each)][way] for each in EACH]
        axes.plot(EACH, [100 * row["accuracy"] for row in rows], color=colour, label=way)
        for each, row in zip(EACH, rows, strict=True):
            axes.plot(
                [each] * len(row["runs"]),
                [100 * x["accuracy"] for x in row["runs"]],
                ".",
                color=colour,
            )
    axes.set(xlabel="pictures of each class", ylabel="% right", xticks=EACH)
    style.legend_above(axes)
    return figure


def main() -> None:
    """Measures, prints, writes."""
    parser = options(__doc__, model=True)
    parser.add_argument("--dataset", metavar="DIR_OR_ID", default="uoft-cs/cifar100")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--each", type=int, nargs="+", choices=EACH, default=EACH, help="pictures")
    args = parser.parse_args()
    assert set(CLASSES) <= HELD_OUT
    with exit_on_error():
        dataset = open_dataset(args.dataset)
    strange = strangers(dataset)
    result: dict[str, Any] = {"classes": CLASSES, "seeds": args.seeds, "each": {}}
    if len(args.each) < len(EACH):  # rows of an earlier run stay
        result["each"] = files.read_json(args.output / "finetune.json")["each"]
    for each in args.each:
        runs: dict[str, list[Scores]] = {way: [] for way in WAYS}
        for seed in tqdm(range(args.seeds), desc=f"{each} of each"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                lay_out(dataset, CLASSES, each, seed, folder / "data")
                here = folder / "data"
                for i, (way, flags) in enumerate(WAYS.items()):
                    run = folder / f"run{i}"
                    line = [flag.format(model=args.model) for flag in flags]
                    scores = learned(here, run, seed, *line)
                    runs[way].append(scores | verdicts(run, here, strange))
        result["each"][str(each)] = {
            way: {key: round(statistics.fmean(x[key] for x in some), 4) for key in some[0]}
            | {"runs": some}
            for way, some in runs.items()
        }
        for way in WAYS:
            row = result["each"][str(each)][way]
            print(
                f"{each:>4} of each, {way:<26} {row['accuracy']:.1%} right, ECE "
                f"{row['ece']:.1%}, {row['seconds']:.0f} s",
                flush=True,
            )
    write(args, "finetune", result, lambda: draw(result))


if __name__ == "__main__":
    main()
