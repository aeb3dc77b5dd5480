"""Five new classes, of which there are few pictures: a saved network taught them, against others.

    python -m benchmarks.finetune --dataset uoft-cs/cifar100

Takes five of CIFAR-100's classes that were never outliers (`model.data.HELD_OUT`), 20, 100 and 200
pictures of each, and all test pictures of them. In turn: `train.py --init-from` the default
weights, `train.py` from nothing, both with the recipe that it chooses by itself, and timm's
resnet18 from nothing (`rival`). Accuracy and calibration error are those of the answers that a user
gets, by an image and its mirror image; seconds are those of training alone. Writes finetune.json
and finetune.png to benchmarks/results.
"""

import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

import timm
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from tqdm import tqdm

import train
from benchmarks._common import options, write
from model import augment
from model.data import HELD_OUT, ImageDataset, open_dataset
from model.evaluation import style
from model.evaluation.metrics import measure
from model.inference.logits import both_views
from model.utils.errors import exit_on_error

CLASSES = ("apple", "bicycle", "castle", "fox", "orchid")
EACH = (20, 100, 200)  # pictures of a class
WAYS = ("from the default weights", "from nothing", "resnet18 from nothing")
RIVAL_SIDE = 64  # pixels: resnet18 halves its input five times
Scores: TypeAlias = dict[str, float]
"""accuracy, ece and seconds."""


def lay_out(dataset: ImageDataset, each: int, seed: int, folder: Path) -> None:
    """Writes class folders: `each` random training pictures of a class, all test pictures."""
    numbers = [dataset.label_names.index(name) for name in CLASSES]
    for kind, split in dataset.splits.items():
        generator = torch.Generator().manual_seed(seed)
        for name, number in zip(CLASSES, numbers, strict=True):
            rows = (split.labels == number).nonzero().flatten()  # (n,)
            if kind == "train":
                rows = rows[torch.randperm(len(rows), generator=generator)[:each]]
            (folder / kind / name).mkdir(parents=True)
            for row, image in zip(rows.sort().values, split.load(rows).images, strict=True):
                pixels = image.permute(1, 2, 0).numpy()  # (S, S, 3)
                Image.fromarray(pixels).save(folder / kind / name / f"{row:05}.png")


def ours(data: Path, run: Path, seed: int, *more: str) -> Scores:
    """Trains as a user would, by train.py."""
    with contextlib.redirect_stdout(io.StringIO()):
        train.main(["--dataset", str(data), "--output", str(run), "--seed", str(seed), *more])
    results = json.loads((run / "results.json").read_text())
    answers = results["test"]["calibrated"]
    seconds = results["training"]["seconds"]
    return {"accuracy": answers["accuracy"], "ece": answers["ece"], "seconds": seconds}


def rival(data: Path, seed: int, epochs: int = 40, batch_size: int = 50) -> Scores:
    """timm's resnet18 as people train it: AdamW, one cycle, shifts and mirror images, 64 pixels."""
    dataset = open_dataset(str(data), image_size=RIVAL_SIDE)
    known, test = dataset.splits["train"].load(), dataset.splits["test"].load()
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    network = timm.create_model("resnet18", num_classes=len(CLASSES))
    steps = epochs * -(-len(known) // batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    began = time.perf_counter()

    def pixels(images: Tensor) -> Tensor:
        return augment.normalize(images, (0.5,) * 3, (0.25,) * 3)  # (n, 3, 64, 64)

    for epoch in range(epochs):
        for rows in torch.randperm(len(known), generator=random).split(batch_size):
            images = augment.flip_alternating(known.images[rows], rows, epoch, seed)
            images = augment.translate(images, RIVAL_SIDE // 8, random)
            F.cross_entropy(
                network(pixels(images)), known.labels[rows], label_smoothing=0.1
            ).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    seconds = time.perf_counter() - began
    network.eval()
    with torch.inference_mode():
        logits = both_views(network, pixels(test.images))[0]  # (n, 5)
    found = measure(logits.numpy(), test.labels.numpy())
    return {"accuracy": found["accuracy"], "ece": found["ece"], "seconds": seconds}


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
    args = parser.parse_args()
    assert set(CLASSES) <= HELD_OUT
    with exit_on_error():
        dataset = open_dataset(args.dataset)
    result: dict[str, Any] = {"classes": CLASSES, "seeds": args.seeds, "each": {}}
    for each in EACH:
        runs: dict[str, list[Scores]] = {way: [] for way in WAYS}
        for seed in tqdm(range(args.seeds), desc=f"{each} of each"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                lay_out(dataset, each, seed, folder / "data")
                here = folder / "data"
                found = (
                    ours(here, folder / "a", seed, "--init-from", str(args.model)),
                    ours(here, folder / "b", seed),
                    rival(here, seed),
                )
            for way, scores in zip(WAYS, found, strict=True):
                runs[way].append(scores)
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
