"""Five new classes, of which there are few pictures: a saved network taught them, against others.

    python -m benchmarks.finetune --dataset uoft-cs/cifar100

Takes five of CIFAR-100's classes that were never outliers (`model.data.HELD_OUT`), 20, 100 and 200
pictures of each, and all test pictures of them. In turn, by `train.py` and the recipe that it
chooses by itself: from the default weights (`--init-from`), from nothing, and timm's resnet18 from
nothing, which sees 64 pixels, since it halves its input five times. Accuracy and calibration error
are those of the answers that a user gets, by an image and its mirror image; so are how many test
pictures get a confident answer, how many of those are right, and how many test pictures, and
strangers (test pictures of the other fifteen classes), are called "none". Seconds are those of
training alone. Writes finetune.json to benchmarks/results.
"""

import contextlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

import train
from benchmarks._common import CIFAR100, as_arrays, averaged, options, write
from model.data import HELD_OUT, ImageDataset, open_dataset
from model.inference.classifier import Classifier
from model.inference.prediction import Prediction
from model.utils import files
from model.utils.errors import exit_on_error

CLASSES = ("apple", "bicycle", "castle", "fox", "orchid")
EACH = [20, 100, 200]  # pictures of a class
WAYS: dict[str, list[str]] = {
    "from the default weights": ["--init-from", "{model}"],
    "from nothing": [],
    "resnet18 from nothing": ["--network", "resnet18", "--image-size", "64"],
}
Scores: TypeAlias = dict[str, float]
"""accuracy, ece and seconds of training, and shares of verdicts."""


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


def strangers(dataset: ImageDataset, classes: Sequence[str]) -> list[np.ndarray]:
    """Test pictures of classes that no network here was ever shown, (S, S, 3) each."""
    split = dataset.splits["test"]
    others = [dataset.label_names.index(name) for name in sorted(HELD_OUT - set(classes))]
    rows = torch.isin(split.labels, torch.tensor(others)).nonzero().flatten()  # (n,)
    return as_arrays(split.load(rows).images)


def train_by_command(data: Path, run: Path, seed: int, *more: str) -> None:
    """Trains as a user would."""
    with contextlib.redirect_stdout(io.StringIO()):
        train.main(["--dataset", str(data), "--output", str(run), "--seed", str(seed), *more])


def sureness(answers: Sequence[Prediction], pictures: Sequence[Path]) -> Scores:
    """How right answers to pictures in class folders are, and how sure: shares of all of them."""
    right = [one.label == path.parent.name for one, path in zip(answers, pictures, strict=True)]
    sure = [right[i] for i, one in enumerate(answers) if one.verdict == "confident"]
    return {
        "accuracy": sum(right) / len(right),
        "confident": len(sure) / len(right),
        "confident_right": sum(sure) / len(right),
    }


def learned(data: Path, run: Path, seed: int, strange: list[np.ndarray], *more: str) -> Scores:
    """Trains, and asks the classifier that comes out."""
    train_by_command(data, run, seed, *more)
    results = files.read_json(run / "results.json")
    answers = results["test"]["calibrated"]
    classify = Classifier.from_pretrained(run)
    test = sorted((data / "test").glob("*/*.png"))
    known, other = classify(test), classify(strange)
    return {
        **sureness(known, test),
        "ece": answers["ece"],
        "seconds": results["training"]["seconds"],
        "known_none": sum(answer.verdict == "none" for answer in known) / len(known),
        "strangers_none": sum(answer.verdict == "none" for answer in other) / len(other),
        "strangers_confident": sum(a.verdict == "confident" for a in other) / len(other),
    }


def main() -> None:
    """Measures, prints, writes."""
    each, seeds = (EACH, "pictures of a class", *EACH), (3, "runs of each way")
    args = options(__doc__, model=True, dataset=CIFAR100, seeds=seeds, each=each)
    assert set(CLASSES) <= HELD_OUT
    with exit_on_error():
        dataset = open_dataset(args.dataset)
    strange = strangers(dataset, CLASSES)
    result: dict[str, Any] = {"classes": CLASSES, "seeds": args.seeds, "each": {}}
    if len(args.each) < len(EACH):  # rows of an earlier run stay
        result["each"] = files.read_json(args.output / "finetune.json")["each"]
    for each in args.each:
        runs: dict[str, list[Scores]] = {way: [] for way in WAYS}
        for seed in tqdm(range(args.seeds), desc=f"{each} of each"):
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "data"
                lay_out(dataset, CLASSES, each, seed, data)
                for i, (way, flags) in enumerate(WAYS.items()):
                    line = [flag.format(model=args.model) for flag in flags]
                    runs[way].append(learned(data, Path(folder) / f"run{i}", seed, strange, *line))
        result["each"][str(each)] = rows = {
            way: averaged(some) | {"runs": some} for way, some in runs.items()
        }
        for way, row in rows.items():
            told = f"{row['accuracy']:.1%} right, ECE {row['ece']:.1%}, {row['seconds']:.0f} s"
            print(f"{each:>4} of each, {way:<26} {told}", flush=True)
    write(args, "finetune", result)


if __name__ == "__main__":
    main()
