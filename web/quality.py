"""The tab "How good is it?": what results.json tells, and the very pictures behind it."""

import threading
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import gradio as gr
import numpy as np
import torch

from model.data import ImageDataset, open_dataset
from model.inference.classifier import Classifier
from model.inference.logits import predict_logits
from model.utils.errors import CifarnetError, DataError
from web import charts, matrix, report
from web.charts import percent
from web.report import Results, section, split_of
from web.site import QUIET, Site, html, said_by

HINT = "Choose a cell to see what is behind it."
NO_DATASET = (
    "Start the page with --dataset and the data that the model was tested on to see the pictures."
)
MOST_PICTURES = 60  # shown for a cell
MOST_IMAGES = 5_000  # of a class that are classified to find them


@dataclass(frozen=True)
class Seen:
    """One test picture, and what the network names it."""

    index: int
    pixels: np.ndarray
    """uint8 (S, S, 3)."""
    named: int
    probability: float


class TestSet:
    """Finds the pictures that a cell of the confusion matrix counts.

    A class is classified when one of its cells is first asked for, and kept.

    Args:
        dataset: As given on the command line; None leaves the numbers alone.
        results: Content of results.json, which says what data its numbers come from.
        classifier: What the numbers are about.
    """

    __test__ = False  # no test for pytest

    def __init__(self, dataset: str | None, results: Results, classifier: Classifier) -> None:
        self.dataset, self.results, self._classifier = dataset, results, classifier
        self._lock = threading.Lock()
        self._classified: dict[int, list[Seen]] = {}

    def cell(self, true: int, predicted: int) -> list[Seen]:
        """Pictures of one class that got the name of one class, the most certain first.

        Raises:
            DataError: If there is none, or it cannot be reached, or is another one.
        """
        with self._lock:
            if true not in self._classified:
                self._classified[true] = self._classify(true)
            found = [one for one in self._classified[true] if one.named == predicted]
        return sorted(found, key=lambda one: -one.probability)[:MOST_PICTURES]

    def pictures(self, indices: list[int]) -> list[np.ndarray]:
        """Test pictures by their rows in the dataset, uint8 (S, S, 3) each.

        Raises:
            DataError: If there is none, or it cannot be reached, or is another one.
        """
        with self._lock:
            rows = torch.tensor(indices, dtype=torch.int64)
            images = self._source.splits["test"].load(rows).images  # (n, 3, S, S)
        return list(images.permute(0, 2, 3, 1).numpy())

    @cached_property
    def _source(self) -> ImageDataset:
        if self.dataset is None:
            raise DataError(NO_DATASET)
        source = open_dataset(self.dataset, image_size=self._classifier.image_size)
        measured = self.results["dataset"]
        if (
            split_of(self.results) != "test"
            or list(source.label_names) != measured["label_names"]
            or source.splits["test"].fingerprint != measured["fingerprint"]["test"]
        ):
            raise DataError(
                "The pictures of --dataset are not those that the numbers come from, so only the "
                "numbers are shown."
            )
        return source

    def _classify(self, true: int) -> list[Seen]:
        split = self._source.splits["test"]
        rows = (split.labels == true).nonzero().flatten()[:MOST_IMAGES]
        images = split.load(rows).images  # (n, 3, S, S)
        logits = predict_logits(self._classifier.network, images)
        shares, named = self._classifier.calibration.probabilities(logits).max(dim=1)  # (n,), (n,)
        pixels = images.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)
        found = zip(rows.tolist(), pixels, named.tolist(), shares.tolist(), strict=True)
        return [Seen(*one) for one in found]


def tab(site: Site) -> None:
    """Fills the tab: the numbers are about the first model."""
    models, results = site.models, site.models.results()
    if not results:
        html(f"<p>{escape(report.MISSING)}</p>", styles="charts.css")
        return
    tests = TestSet(site.dataset, results, models.classifier())
    about = f"Measured of {models.names[0]}, the first model." if len(models.names) > 1 else ""
    head = f'<p class="note">{escape(about)}</p>' if about else ""
    html(head + section(report.headline, results), styles="charts.css")
    _confusions(tests)
    parts = (section(write, results) for write in (report.per_class, report.reliability))
    drawn = "".join(f"<div>{part}</div>" for part in parts)
    curves = f'<div class="wide">{section(report.learning_curves, results)}</div>'
    more = '<p class="note part">The model card, on the tab “Use it”, tells the rest.</p>'
    html(f'<div class="grid part">{drawn}{curves}</div>{more}', styles="charts.css")
    _mistakes(tests)


def _confusions(tests: TestSet) -> None:
    """The confusion matrix beside what a chosen cell counts."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            cells = html(
                f"<h3>What it takes for what</h3>{section(matrix.matrix, tests.results)}",
                "confusion-matrix",
                script="matrix.js",
                styles="charts.css matrix.css",
            )
        with gr.Column(scale=2, min_width=280):
            shown = html(
                f'<div role="status"><h3>Behind a cell</h3></div><p class="note">{HINT}</p>',
                "confusion-cell",
                styles="charts.css",
            )

    def show(event: gr.EventData) -> str:
        return cell(tests, said_by(event, "true"), said_by(event, "predicted"))

    cells.cell(show, None, shown, **QUIET | {"show_progress": "minimal"})


def cell(tests: TestSet, true: Any, predicted: Any) -> str:
    """What the page shows for a cell; its place comes from a browser and is checked."""
    names = tests.results["dataset"]["label_names"]
    if not all(type(place) is int and 0 <= place < len(names) for place in (true, predicted)):
        return f'<p class="note">{HINT}</p>'
    count, words = matrix.counted(true, predicted, tests.results)
    head = f'<div role="status"><h3>{escape(words)}</h3></div>'
    if not count:
        return head
    try:
        pictures = tests.cell(true, predicted)
    except CifarnetError as error:
        return f'{head}<p class="note">{escape(str(error))}</p>'
    which = "All of them" if len(pictures) < MOST_PICTURES else f"The {len(pictures)} most certain"
    note = f'<p class="note">{which}, with the probability it gave, the highest first:</p>'
    items = "".join(
        f"<li>{_picture(one.pixels, one.index, true=names[true], said=names[predicted])}"
        f"{percent(one.probability, 0)}</li>"
        for one in pictures
    )
    return f'{head}{note}<ul class="pictures scroll" tabindex="0">{items}</ul>'


def _picture(pixels: np.ndarray, index: int, true: str, said: str) -> str:
    alt = escape(f"Test picture {index}: {true} named {said}")
    return f'<img src="{charts.data_uri(pixels)}" alt="{alt}" loading="lazy">'


def _mistakes(tests: TestSet) -> None:
    """The most confident mistakes; their pictures come when they are scrolled into sight."""

    def bare(results: Results) -> str:
        return mistakes(results, [], "" if tests.dataset else NO_DATASET)

    def shown(results: Results) -> str:
        rows = report.report_of(results)["confident_mistakes"]
        try:
            return mistakes(results, tests.pictures([row["index"] for row in rows]))
        except CifarnetError as error:
            return mistakes(results, [], str(error))

    sheet = html(
        section(bare, tests.results),
        "confident-mistakes",
        script="seen.js" if tests.dataset else "",
        styles="charts.css",
    )
    if tests.dataset:
        sheet.seen(lambda: section(shown, tests.results), None, sheet, **QUIET)


def mistakes(results: Results, pictures: list[np.ndarray], note: str = "") -> str:
    """A sheet of the mistakes made with the highest probability."""
    rows = report.report_of(results)["confident_mistakes"]
    if not rows:
        return "<h3>It made no mistakes</h3>"
    items = ""
    for i, row in enumerate(rows):
        true, said = row["true"], row["predicted"]
        image = '<span class="blank"></span>'
        if pictures:
            image = _picture(pictures[i], row["index"], true, said)
        words = f"{escape(said)}, {percent(row['probability'], 0)}<br>is: {escape(true)}"
        items += f"<li>{image}{words}</li>"
    kind = "before calibration" if results.get("calibration") else "as trained"
    below = f'<p class="note">{escape(note or f"What it said, with its probability ({kind}).")}</p>'
    return f'<h3>Where it was most sure, and wrong</h3>{below}<ul class="pictures">{items}</ul>'
