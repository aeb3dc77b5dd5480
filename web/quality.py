"""The tab "How good is it?": what results.json tells, and the very pictures behind it."""

from html import escape
from typing import Any

import gradio as gr
import numpy as np

from model.evaluation.confusion import confusions
from model.utils.errors import CifarnetError
from web import charts, doubts, matrix, report
from web.charts import percent
from web.report import Results, section
from web.site import QUIET, Site, html, said_by
from web.testset import MOST_PICTURES, TestPicture, TestSet

HINT = "Choose a cell to see what is behind it."
NO_DATASET = (
    "Start the page with --dataset and the data that the model was tested on to see the pictures."
)


def tab(site: Site) -> None:
    """Fills the tab: the numbers are about the first model."""
    models, results, dataset = site.models, site.results, site.dataset
    if not results:
        html(f"<p>{escape(report.MISSING)}</p>", styles="charts.css")
        return
    tests = TestSet(dataset, results, lambda: models.classifier()) if dataset else None
    hardest = section(report.hardest, results)
    about = f"Measured of {models.names[0]}, the first model." if len(models.names) > 1 else ""
    head = f'<p class="note">{escape(about)}</p>' if about else ""
    top = f'{head}{section(report.headline, results)}<div class="part">{hardest}</div>'
    html(top, styles="charts.css")
    _confusions(results, tests)
    parts = (
        report.per_class,
        doubts.reliability,
        doubts.verdicts,
        doubts.out_of_scope,
        doubts.explanations,
        doubts.small_objects,
    )
    drawn = "".join(f"<div>{part}</div>" for write in parts if (part := section(write, results)))
    curves = section(report.learning_curves, results)
    rest = f'<div class="grid part">{drawn}<div class="wide">{curves}</div></div>'
    html(rest, styles="charts.css")
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
    classes = len(results["dataset"]["label_names"])
    if not (_is_class(true, classes) and _is_class(predicted, classes)):
        return f'<p class="note">{HINT}</p>'
    head = f'<div role="status"><h3>{escape(matrix.title(true, predicted, results))}</h3></div>'
    if not confusions(report.report_of(results))[true].get(predicted):
        return head
    if tests is None:
        return f'{head}<p class="note">{escape(NO_DATASET)}</p>'
    try:
        pictures = tests.cell(true, predicted)
    except CifarnetError as error:
        return f'{head}<p class="note">{escape(str(error))}</p>'
    names = results["dataset"]["label_names"]
    which = (
        "All of them"
        if len(pictures) < MOST_PICTURES
        else f"The {len(pictures)} most certain of them"
    )
    note = f'<p class="note">{which}, with the probability it gave, the highest first:</p>'
    words = f"{names[true]} named {names[predicted]}"
    items = "".join(_picture(one, words) for one in pictures)
    return f'{head}{note}<ul class="pictures scroll" tabindex="0">{items}</ul>'


def _is_class(value: Any, classes: int) -> bool:
    return type(value) is int and 0 <= value < classes


def _picture(picture: TestPicture, words: str) -> str:
    alt = escape(f"Test picture {picture.index}: {words}")
    return (
        f'<li><img src="{charts.data_uri(picture.pixels)}" alt="{alt}" loading="lazy">'
        f"{percent(picture.probability, 0)}</li>"
    )


def _mistakes(results: Results, tests: TestSet | None) -> None:
    """The most confident mistakes; their pictures come when they are scrolled into sight."""
    sheet = html(
        section(lambda r: mistakes(r, None, "" if tests else NO_DATASET), results),
        "confident-mistakes",
        script="seen.js" if tests else "",
        styles="charts.css",
    )
    if tests is None:
        return

    def load(results: Results) -> str:
        rows = report.report_of(results)["confident_mistakes"]
        try:
            pictures = tests.pictures([row["index"] for row in rows])
        except CifarnetError as error:
            return mistakes(results, None, str(error))
        return mistakes(results, pictures)

    sheet.seen(lambda: section(load, results), None, sheet, **QUIET)


def mistakes(results: Results, pictures: list[np.ndarray] | None, note: str = "") -> str:
    """A sheet of the mistakes made with the highest probability."""
    rows = report.report_of(results)["confident_mistakes"]
    if not rows:
        return "<h3>It made no mistakes</h3>"
    items = []
    for i, row in enumerate(rows):
        words = f"{row['true']} named {row['predicted']}"
        image = '<span class="blank"></span>'
        if pictures:
            alt = escape(f"Test picture {row['index']}: {words}")
            image = f'<img src="{charts.data_uri(pictures[i])}" alt="{alt}">'
        said = f"{escape(row['predicted'])}, {percent(row['probability'], 0)}"
        items.append(f"<li>{image}{said}<br>is: {escape(row['true'])}</li>")
    kind = "before calibration" if results.get("calibration") else "as trained"
    title = "Where it was most sure, and wrong"
    below = f'<p class="note">{escape(note or f"What it said, with its probability ({kind}).")}</p>'
    return f'<h3>{title}</h3>{below}<ul class="pictures">{"".join(items)}</ul>'
