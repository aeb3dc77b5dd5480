"""The tab "How good is it?": what results.json tells, and the very pictures behind it."""

from html import escape
from typing import Any

import gradio as gr
import numpy as np

from model.utils.errors import CifarnetError
from web import charts, matrix, report
from web.charts import percent
from web.report import Results, section
from web.site import QUIET, Site, html, said_by
from web.testset import MOST_PICTURES, TestSet

HINT = "Choose a cell to see what is behind it."
NO_DATASET = (
    "Start the page with --dataset and the data that the model was tested on to see the pictures."
)


def tab(site: Site) -> None:
    """Fills the tab: the numbers are about the first model."""
    models, results = site.models, site.results
    if not results:
        html(f"<p>{escape(report.MISSING)}</p>", styles="charts.css")
        return
    tests = TestSet(site.dataset, results, models.classifier()) if site.dataset else None
    about = f"Measured of {models.names[0]}, the first model." if len(models.names) > 1 else ""
    head = f'<p class="note">{escape(about)}</p>' if about else ""
    html(head + section(report.headline, results), styles="charts.css")
    _confusions(results, tests)
    parts = (section(write, results) for write in (report.per_class, report.reliability))
    drawn = "".join(f"<div>{part}</div>" for part in parts)
    curves = f'<div class="wide">{section(report.learning_curves, results)}</div>'
    more = '<p class="note part">The model card, on the tab “Use it”, tells the rest.</p>'
    html(f'<div class="grid part">{drawn}{curves}</div>{more}', styles="charts.css")
    _mistakes(results, tests)


def _confusions(results: Results, tests: TestSet | None) -> None:
    """The confusion matrix beside what a chosen cell counts."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            cells = html(
                f"<h3>What it takes for what</h3>{section(matrix.matrix, results)}",
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
        return cell(results, tests, said_by(event, "true"), said_by(event, "predicted"))

    cells.cell(show, None, shown, **QUIET | {"show_progress": "minimal"})


def cell(results: Results, tests: TestSet | None, true: Any, predicted: Any) -> str:
    """What the page shows for a cell; its place comes from a browser and is checked."""
    names = results["dataset"]["label_names"]
    if not all(type(place) is int and 0 <= place < len(names) for place in (true, predicted)):
        return f'<p class="note">{HINT}</p>'
    count, words = matrix.counted(true, predicted, results)
    head = f'<div role="status"><h3>{escape(words)}</h3></div>'
    if not count:
        return head
    try:
        pictures = _needed(tests).cell(true, predicted)
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


def _needed(tests: TestSet | None) -> TestSet:
    if tests is None:
        raise CifarnetError(NO_DATASET)
    return tests


def _picture(pixels: np.ndarray, index: int, true: str, said: str) -> str:
    alt = escape(f"Test picture {index}: {true} named {said}")
    return f'<img src="{charts.data_uri(pixels)}" alt="{alt}" loading="lazy">'


def _mistakes(results: Results, tests: TestSet | None) -> None:
    """The most confident mistakes; their pictures come when they are scrolled into sight."""

    def shown(results: Results) -> str:
        rows = report.report_of(results)["confident_mistakes"]
        try:
            return mistakes(results, _needed(tests).pictures([row["index"] for row in rows]))
        except CifarnetError as error:
            return mistakes(results, None, str(error))

    first = mistakes if tests else shown
    sheet = html(
        section(first, results),
        "confident-mistakes",
        script="seen.js" if tests else "",
        styles="charts.css",
    )
    if tests:
        sheet.seen(lambda: section(shown, results), None, sheet, **QUIET)


def mistakes(results: Results, pictures: list[np.ndarray] | None = None, note: str = "") -> str:
    """A sheet of the mistakes made with the highest probability."""
    rows = report.report_of(results)["confident_mistakes"]
    if not rows:
        return "<h3>It made no mistakes</h3>"
    items = []
    for i, row in enumerate(rows):
        true, said = row["true"], row["predicted"]
        image = '<span class="blank"></span>'
        if pictures:
            image = _picture(pictures[i], row["index"], true, said)
        words = f"{escape(said)}, {percent(row['probability'], 0)}<br>is: {escape(true)}"
        items.append(f"<li>{image}{words}</li>")
    kind = "before calibration" if results.get("calibration") else "as trained"
    below = f'<p class="note">{escape(note or f"What it said, with its probability ({kind}).")}</p>'
    return (
        f"<h3>Where it was most sure, and wrong</h3>{below}"
        f'<ul class="pictures">{"".join(items)}</ul>'
    )
