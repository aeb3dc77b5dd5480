"""What a model says about photographs as people bring them, of its classes and of other things.

    python -m benchmarks.photographs --photos DIR_OR_ID

Reads a dataset, as a stream, with the columns "image", "truth" (one of the model's classes, or
"other") and perhaps "subject" (what it is), and asks `Classifier` as a user would: whole pictures,
its own views and verdicts. Measures how many are named right, how many of the confident answers
hold, how many strangers are confidently called one of the classes, how well strangers are told
apart (CCR, see `ccr`) and how far stated probabilities are off. Writes photographs.json, and a
sheet of the worst mistakes, photographs.png, to benchmarks/results; the sheet shows the
photographs, so mind their licence before you pass it on.
"""

import io
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from datasets import Image as ImageColumn
from datasets import IterableDataset
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from tqdm import tqdm

from benchmarks._common import RECORD, options, record, write
from model import Classifier
from model.evaluation import style
from model.utils import files
from model.utils.errors import DataError, exit_on_error
from model.utils.shares import interval
from model.utils.streams import find_streams

OTHER = "other"  # the truth of a stranger
VERDICTS = ("confident", "unsure", "none")
FPRS = (0.05, 0.10)
BINS = 15  # of the calibration error, as everywhere in the project
ACROSS, DOWN = 6, 4  # pictures on the sheet
AT_ONCE = 32
Table: TypeAlias = pd.DataFrame
"""A row for each photograph: content (bytes), truth, subject; label, probability, verdict and scope
as `Classifier` answers; plain_label and plain_probability from one look at the largest centred
square, by softmax without a temperature."""


def read(name: str) -> IterableDataset:
    """The photographs of a dataset, from its test split if it has several splits.

    Raises:
        DataError: If there are none, or a column is missing.
    """
    try:
        streams = find_streams(name).splits
    except DataError as error:
        raise DataError(str(error).replace("--dataset", "--photos")) from None
    stream = streams.get("test") or next(iter(streams.values()))
    columns = sorted(stream.features)
    if not {"image", "truth"} <= {*columns}:
        raise DataError(f"{name} needs the columns image and truth; it has {', '.join(columns)}.")
    # As it was stored: the classifier gets the files that users have, and turns them upright.
    return stream.cast_column("image", ImageColumn(decode=False))


def ask(classifier: Classifier, stream: IterableDataset) -> Table:
    """Asks the classifier about all photographs, as they are.

    Raises:
        DataError: If a truth is no class and not "other".
    """
    found = []
    known = [*classifier.label_names, OTHER]
    # How many will come is not known of a stream, so that there is no time left to show.
    for batch in tqdm(stream.iter(AT_ONCE), unit=f" x {AT_ONCE} photographs"):
        truth, subject = batch["truth"], batch.get("subject", batch["truth"])
        if wrong := {*truth} - {*known}:
            raise DataError(f"The truth {wrong.pop()!r} must be one of {', '.join(known)}.")
        contents = [one["bytes"] or Path(one["path"]).read_bytes() for one in batch["image"]]
        squares = torch.stack([classifier.preprocess(one) for one in contents])  # (n, 3, S, S)
        best, classes = classifier.logits(squares).softmax(dim=1).max(dim=1)  # (n,), (n,)
        said = pd.DataFrame(classifier(contents))[["label", "probability", "verdict", "scope"]]
        said["content"], said["truth"] = contents, truth
        said["subject"] = [name or truth[i] for i, name in enumerate(subject)]
        said["plain_label"] = [classifier.label_names[i] for i in classes.tolist()]
        said["plain_probability"] = best.tolist()
        found.append(said)
    return pd.concat(found, ignore_index=True)


def share(right: np.ndarray) -> dict[str, Any]:
    """How many of some yes-or-no answers (N,) are yes, and between what bounds the truth may lie.

    Returns:
        "count", "right", "share", and "low" and "high" of Wilson's 95 % interval, which stays
        within 0 and 1 and has a width for shares of 0 and 1; the last three None for no answers.
    """
    count, yes = len(right), int(right.sum())
    if count == 0:
        return {"count": 0, "right": 0, "share": None, "low": None, "high": None}
    low, high = (round(bound, 6) for bound in interval(yes / count, count))
    return {"count": count, "right": yes, "share": round(yes / count, 6), "low": low, "high": high}


def ccr(known: np.ndarray, right: np.ndarray, strangers: np.ndarray, fpr: float) -> float:
    """Correct classification rate at a rate of false positives.

    The share of known pictures that are named right and score above what is passed by no more than
    the share `fpr` of the strangers. Source: Dhamija et al., "Reducing network agnostophobia",
    NeurIPS 2018, arXiv:1811.04110.

    Args:
        known: Scores of pictures of the classes, (N,); high means known.
        right: Whether each of them is named right, (N,).
        strangers: Scores of pictures of something else, (M,).
        fpr: 0 to 1.
    """
    falling = np.sort(strangers)[::-1]  # (M,)
    allowed = math.floor(fpr * len(strangers) + 1e-9)  # 5 % of 20 are 1, whatever floats say
    threshold = falling[allowed] if allowed < len(falling) else -math.inf
    return round(float(((known > threshold) & right).mean()), 6)


def ece(probability: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: stated probabilities (N,) against whether they came true (N,).

    Bins of equal width, (low, high]; source: Guo et al., "On calibration of modern neural
    networks", ICML 2017, arXiv:1706.04599.
    """
    edges = np.arange(BINS + 1) / BINS
    which = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, BINS - 1)  # (N,)
    gaps = np.bincount(which, right - probability, BINS)  # (BINS,)
    return round(float(np.abs(gaps).sum() / len(right)), 6)


def measure(answers: Table) -> dict[str, Any]:
    """All numbers, of answers about photographs of the classes and of strangers.

    Raises:
        DataError: If there are none of either.
    """
    answers = answers.assign(
        right=answers.label == answers.truth,
        sure=answers.verdict == "confident",
        plainly_right=answers.plain_label == answers.truth,
        judged=answers.probability - answers.verdict.map(VERDICTS.index),
    )
    known, strangers = answers[answers.truth != OTHER], answers[answers.truth == OTHER]
    if known.empty or strangers.empty:
        raise DataError(
            f"There are {len(known)} photographs of the classes and {len(strangers)} of something "
            "else; both are needed."
        )
    # Dogs and birds are most of the photographs at hand: one number for all would be theirs.
    groups = known.truth.map({"dog": "dogs", "bird": "birds"}).fillna("the rest")
    scores = {
        "the classifier's score": ("scope", "right"),
        "its verdict, then its probability": ("judged", "right"),
        "largest softmax, one view": ("plain_probability", "plainly_right"),
    }
    halves = {"of the classes": known, "strangers": strangers}
    mistakes = worst(answers, len(answers)).rename(columns={"label": "said"})
    mistakes = mistakes[["subject", "truth", "said", "probability"]]
    return {
        "images": {name: len(half) for name, half in halves.items()},
        "named_right": {"all": share(known.right)}
        | {name: share(known.right[groups == name]) for name in ("dogs", "birds", "the rest")},
        "confident": share(known.sure),
        "right_when_confident": share(known.right[known.sure]),
        "strangers_confident": share(strangers.sure),
        "right_when_confident_strangers_included": share(answers.right[answers.sure]),
        "verdicts": {
            name: half.verdict.value_counts().reindex(VERDICTS, fill_value=0).to_dict()
            for name, half in halves.items()
        },
        "ccr": {
            name: {
                f"at {fpr:.0%} FPR": ccr(known[score], known[right], strangers[score], fpr)
                for fpr in FPRS
            }
            for name, (score, right) in scores.items()
        },
        "ece": ece(known.probability.to_numpy(), known.right.to_numpy()),
        "mean_probability": round(float(known.probability.mean()), 6),
        "mistakes": mistakes.round(4).to_dict("records"),
    }


def worst(answers: Table, most: int = ACROSS * DOWN) -> Table:
    """Confident answers that are wrong, the surest first; those of the classes before strangers.

    Where there are too many, strangers get at least half of the places.
    """
    wrong = answers[(answers.verdict == "confident") & (answers.label != answers.truth)]
    wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    known, strangers = wrong[wrong.truth != OTHER], wrong[wrong.truth == OTHER]
    first = known[: max(most // 2, most - len(strangers))]
    return pd.concat([first, strangers[: most - len(first)]])


def summary(result: dict[str, Any]) -> str:
    """The numbers for a terminal."""
    shares = {f"named right, {name}": one for name, one in result["named_right"].items()}
    shares |= {
        "confident": result["confident"],
        "right when confident": result["right_when_confident"],
        "strangers called confident": result["strangers_confident"],
        "right, of all confident": result["right_when_confident_strangers_included"],
    }
    lines = [
        f"{name:<28} {one['share']:>6.1%}  ({one['right']} of {one['count']}; {one['low']:.1%} to "
        f"{one['high']:.1%})"
        if one["count"]
        else f"{name:<28} {'none':>6}"
        for name, one in shares.items()
    ]
    lines += [f"CCR by {score}: {rates}" for score, rates in result["ccr"].items()]
    return "\n".join([*lines, f"calibration error {result['ece']:.1%}"])


def draw(mistakes: Table, result: dict[str, Any]) -> Figure:
    """A sheet of photographs, what was said of each, and what it is."""
    sure, strangers = result["right_when_confident"], result["strangers_confident"]
    note = (
        f"{sure['count'] - sure['right']} of {sure['count']} confident answers to photographs of "
        f"the classes are wrong; {strangers['right']} of {strangers['count']} photographs of "
        f"something else are confidently called one of the classes. Shown: {len(mistakes)}, the "
        "surest first, with the true class where there is one"
    )
    rows = max(1, -(-len(mistakes) // ACROSS))
    title = "The worst mistakes: sure, and wrong"
    figure = style.headed_figure(1.55 * ACROSS, 0.9 + 1.95 * rows, title, note)
    places = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, one in zip(places, mistakes.itertuples(), strict=False):
        with Image.open(io.BytesIO(one.content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        axes.imshow(ImageOps.pad(upright, (200, 200), color=style.PAPER))
        said = f"{style.short(one.label)}, {one.probability:.1%}"
        axes.set_title(said, color=style.RUST, fontsize=8.5, weight="bold", pad=3)
        truth = "" if one.truth in (OTHER, one.subject) else f"\n({one.truth})"
        shown, below = style.short(one.subject) + truth, {"ha": "center", "va": "top"}
        axes.text(0.5, -0.03, shown, transform=axes.transAxes, fontsize=8, **below)
    return figure


def main() -> None:
    """Measures, prints, writes."""
    photos = (None, "folder or hub id, with the columns image, truth, (subject)")
    args = options(__doc__, model=True, photos=photos, record=RECORD)
    with exit_on_error():
        classifier = Classifier.from_pretrained(args.model)
        answers = ask(classifier, read(args.photos))
        # Of a folder the last part of its path: where it lies is nobody's business.
        name = Path(args.photos).resolve().name if Path(args.photos).is_dir() else args.photos
        result = {"photographs": name} | measure(answers)
        print(summary(result))
        weights = {"weights_sha256": files.sha256(args.model / "model.safetensors")}
        write(args, "photographs", result | weights, lambda: draw(worst(answers), result))
        if args.record:
            record(args, "photographs", result)


if __name__ == "__main__":
    main()
