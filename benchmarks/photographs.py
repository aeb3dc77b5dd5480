"""What a model says about photographs as people bring them, of its classes and of other things.

    python -m benchmarks.photographs --photos DIR_OR_ID

Reads a dataset, as a stream, with the columns "image", "truth" (one of the model's classes, or
"other") and perhaps "subject" (what it is), and asks `Classifier` as a user would: whole pictures,
its own views and verdicts. Measures how many are named right, how many of the confident answers
hold, how many strangers are confidently called one of the classes, how well strangers are told
apart (CCR, see `_shares.ccr`) and how far stated probabilities are off. Writes photographs.json,
and a sheet of the worst mistakes, photographs.png, to benchmarks/results; the sheet shows the
photographs, so mind their licence before you pass it on.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Image as ImageColumn
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from tqdm import tqdm

from benchmarks._common import add_output, model_argument, publish
from benchmarks._shares import ccr, ece, share
from model import Classifier, Prediction
from model.evaluation import style
from model.utils.errors import DataError, exit_on_error
from model.utils.streams import find_streams

OTHER = "other"  # the truth of a stranger
VERDICTS = ("confident", "unsure", "none")
FPRS = (0.05, 0.10)
ACROSS, DOWN = 6, 4  # pictures on the sheet
AT_ONCE = 32


@dataclass(frozen=True)
class Photo:
    """A photograph as it was stored, and what it shows."""

    content: bytes
    truth: str
    subject: str


@dataclass(frozen=True)
class Answer:
    """What the model says about a photograph.

    Attributes:
        photo: The photograph.
        said: As `Classifier` answers.
        plain_label: Of the largest logit, from one look at the largest centred square.
        plain_probability: Of that class, by softmax without a temperature.
    """

    photo: Photo
    said: Prediction
    plain_label: str
    plain_probability: float

    @property
    def right(self) -> bool:
        """Whether the named class is the truth, whatever the verdict."""
        return self.said.label == self.photo.truth

    @property
    def confident(self) -> bool:
        """Whether the model stands by its answer."""
        return self.said.verdict == "confident"


def main() -> None:
    """Measures, prints, writes."""
    parser = model_argument(__doc__ or "")
    parser.add_argument(
        "--photos", metavar="DIR_OR_ID", required=True, help="columns: image, truth, (subject)"
    )
    add_output(parser)
    args = parser.parse_args()
    with exit_on_error():
        classifier = Classifier.from_pretrained(args.model)
        answers = ask(classifier, read(args.photos, classifier.label_names))
        result = {"photographs": _short_name(args.photos), **measure(answers)}
        print(summary(result))
        publish(args, "photographs", result, lambda: draw(worst(answers), result))


def read(name: str, label_names: Sequence[str]) -> Iterator[Photo]:
    """Streams the photographs of a dataset, from its test split if it has several splits.

    Raises:
        DataError: If there are none, a column is missing, or a truth is no class and not "other".
    """
    try:
        streams = find_streams(name).splits
    except DataError as error:
        raise DataError(str(error).replace("--dataset", "--photos")) from None
    stream = streams.get("test") or next(iter(streams.values()))
    columns = set(stream.features or ())
    if not {"image", "truth"} <= columns:
        raise DataError(
            f"{name} needs the columns image and truth; it has {', '.join(sorted(columns))}."
        )
    # As it was stored: the classifier gets the files that users have, and turns them upright.
    for row in stream.cast_column("image", ImageColumn(decode=False)):
        image, truth = row["image"], row["truth"]
        if truth not in (*label_names, OTHER):
            raise DataError(
                f"{name} holds the truth {truth!r}; it must be {OTHER!r} or one of "
                f"{', '.join(label_names)}."
            )
        content = image["bytes"]
        content = Path(image["path"]).read_bytes() if content is None else content
        yield Photo(content, truth, row.get("subject") or truth)


def ask(classifier: Classifier, photos: Iterator[Photo]) -> list[Answer]:
    """Asks the classifier about all photographs, as they are."""
    answers: list[Answer] = []
    waiting: list[Photo] = []

    def answer_waiting() -> None:
        said = classifier([photo.content for photo in waiting])
        squares = torch.stack([classifier.preprocess(photo.content) for photo in waiting])
        best, classes = classifier.logits(squares).softmax(dim=1).max(dim=1)  # (n,), (n,)
        names = [classifier.label_names[i] for i in classes.tolist()]
        rows = zip(waiting, said, names, best.tolist(), strict=True)
        answers.extend(Answer(*row) for row in rows)
        waiting.clear()

    # How many will come is not known of a stream, so that there is no time left to show.
    for photo in tqdm(photos, unit=" photographs"):
        waiting.append(photo)
        if len(waiting) == AT_ONCE:
            answer_waiting()
    if waiting:
        answer_waiting()
    return answers


def measure(answers: Sequence[Answer]) -> dict[str, Any]:
    """All numbers, of answers about photographs of the classes and of strangers.

    Raises:
        DataError: If there are none of either.
    """
    known = [one for one in answers if one.photo.truth != OTHER]
    strangers = [one for one in answers if one.photo.truth == OTHER]
    if not known or not strangers:
        raise DataError(
            f"There are {len(known)} photographs of the classes and {len(strangers)} of something "
            "else; both are needed."
        )
    right = np.array([one.right for one in known])
    sure = np.array([one.confident for one in known])
    sure_strangers = np.array([one.confident for one in strangers])
    probability = np.array([one.said.probability for one in known])
    every_sure_answer = np.array([one.right for one in answers if one.confident], bool)
    return {
        "images": {"of the classes": len(known), "strangers": len(strangers)},
        "named_right": {
            name: share(np.array([one.right for one in group], bool))
            for name, group in _groups(known).items()
        },
        "confident": share(sure),
        "right_when_confident": share(right[sure]),
        "strangers_confident": share(sure_strangers),
        "right_when_confident_strangers_included": share(every_sure_answer),
        "verdicts": {"of the classes": _verdicts(known), "strangers": _verdicts(strangers)},
        "ccr": _ccr(known, strangers),
        "ece": ece(probability, right),
        "mean_probability": round(float(probability.mean()), 6),
        "mistakes": [
            {
                "subject": one.photo.subject,
                "truth": one.photo.truth,
                "said": one.said.label,
                "probability": round(one.said.probability, 4),
            }
            for one in worst(answers, len(answers))
        ],
    }


def worst(answers: Sequence[Answer], most: int = ACROSS * DOWN) -> list[Answer]:
    """Confident answers that are wrong, the surest first; those of the classes before strangers.

    Where there are too many, strangers get at least half of the places.
    """
    wrong = sorted(
        (one for one in answers if one.confident and not one.right),
        key=lambda one: -one.said.probability,
    )
    known = [one for one in wrong if one.photo.truth != OTHER]
    strangers = [one for one in wrong if one.photo.truth == OTHER]
    first = known[: max(most // 2, most - len(strangers))]
    return first + strangers[: most - len(first)]


def _groups(known: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Dogs and birds are most of the photographs at hand: one number for all would be theirs."""
    return {
        "all": [*known],
        "dogs": [one for one in known if one.photo.truth == "dog"],
        "birds": [one for one in known if one.photo.truth == "bird"],
        "the rest": [one for one in known if one.photo.truth not in ("dog", "bird")],
    }


def _verdicts(answers: Sequence[Answer]) -> dict[str, int]:
    said: list[str] = [one.said.verdict for one in answers]
    return {verdict: said.count(verdict) for verdict in VERDICTS}


def _ccr(known: Sequence[Answer], strangers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """CCR by each score, with the names that go with it."""

    def row(ours: list[float], right: list[bool], others: list[float]) -> dict[str, float]:
        values = np.array(ours), np.array(right), np.array(others)
        return {f"at {fpr:.0%} FPR": ccr(*values, fpr) for fpr in FPRS}

    def judged(one: Answer) -> float:
        return one.said.probability - VERDICTS.index(one.said.verdict)

    right = [one.right for one in known]
    return {
        "the classifier's score": row(
            [one.said.scope for one in known], right, [one.said.scope for one in strangers]
        ),
        "its verdict, then its probability": row(
            [judged(one) for one in known], right, [judged(one) for one in strangers]
        ),
        "largest softmax, one view": row(
            [one.plain_probability for one in known],
            [one.plain_label == one.photo.truth for one in known],
            [one.plain_probability for one in strangers],
        ),
    }


def summary(result: dict[str, Any]) -> str:
    """The numbers for a terminal."""
    lines = [
        *(_line(f"named right, {name}", one) for name, one in result["named_right"].items()),
        _line("confident", result["confident"]),
        _line("right when confident", result["right_when_confident"]),
        _line("strangers called confident", result["strangers_confident"]),
        _line("right, of all confident", result["right_when_confident_strangers_included"]),
    ]
    for score, rates in result["ccr"].items():
        shares = ", ".join(f"{name} {value:.1%}" for name, value in rates.items())
        lines.append(f"CCR by {score}: {shares}")
    lines.append(f"calibration error {result['ece']:.1%}")
    return "\n".join(lines)


def _line(name: str, one: dict[str, Any]) -> str:
    if not one["count"]:
        return f"{name:<28} {'none':>6}"
    bounds = f"{one['low']:.1%} to {one['high']:.1%}"
    return f"{name:<28} {one['share']:>6.1%}  ({one['right']} of {one['count']}; {bounds})"


def _short_name(name: str) -> str:
    """A hub id, or the last part of a folder's path: where it lies is nobody's business."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def draw(mistakes: Sequence[Answer], result: dict[str, Any]) -> Figure:
    """A sheet of photographs, what was said of each, and what it is."""
    sure, strangers = result["right_when_confident"], result["strangers_confident"]
    wrong = sure["count"] - sure["right"]
    title = "The worst mistakes: sure, and wrong"
    note = (
        f"{wrong} of {sure['count']} confident answers to photographs of the classes are wrong; "
        f"{strangers['right']} of {strangers['count']} photographs of something else are "
        f"confidently called one of the classes. Shown: {len(mistakes)}, the surest first, "
        "with the true class where there is one"
    )
    rows = max(1, -(-len(mistakes) // ACROSS))
    figure = style.headed_figure(1.55 * ACROSS, 0.9 + 1.95 * rows, title, note)
    places = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, one in zip(places, mistakes, strict=False):
        axes.imshow(_thumbnail(one.photo.content))
        axes.set_title(
            f"{style.short(one.said.label)}, {one.said.probability:.1%}",
            color=style.RUST,
            fontsize=8.5,
            weight="bold",
            pad=3,
        )
        axes.text(
            0.5,
            -0.03,
            _what_it_is(one.photo),
            transform=axes.transAxes,
            fontsize=8,
            color=style.INK,
            ha="center",
            va="top",
        )
    if not mistakes:
        places[0].text(0, 0.5, "None.", transform=places[0].transAxes)
    return figure


def _what_it_is(photo: Photo) -> str:
    name = style.short(photo.subject)
    return name if photo.truth in (OTHER, photo.subject) else f"{name}\n({photo.truth})"


def _thumbnail(content: bytes) -> Image.Image:
    """A square that holds the whole picture, on the colour of the paper."""
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return ImageOps.pad(upright, (200, 200), color=style.PAPER)


if __name__ == "__main__":
    main()
