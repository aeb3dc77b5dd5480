"""The tab "How good is it?": what results.json tells, and the very pictures behind it."""

from html import escape

import gradio as gr
import numpy as np

from model.errors import CifarnetError
from web import charts, matrix, report
from web.charts import percent
from web.models import Models
from web.report import Results, section
from web.testset import TestPicture, TestSet

HINT = "Choose a cell to see what is behind it."
NO_DATASET = (
    "Start the page with --dataset and the data that the model was tested on to see the pictures."
)

# Asks for the pictures when the mistakes come into sight, not before.
WHEN_SEEN = """
new IntersectionObserver((entries, watcher) => {
  if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); trigger("seen"); }
}).observe(element);
"""


def tab(models: Models, results: Results | None, dataset: str | None) -> None:
    """Fills the tab.

    Args:
        models: The first one is what the numbers are about.
        results: Content of its results.json, if it has one.
        dataset: Given on the command line; what cells and mistakes show as pictures.
    """
    if not results:
        gr.HTML(f"<p>{escape(report.MISSING)}</p>", css_template=charts.CSS)
        return
    tests = TestSet(dataset, results, lambda: models.classifier()) if dataset else None
    gr.HTML(
        section(report.headline, results)
        + f'<div style="margin-top: 2rem">{section(report.hardest, results)}</div>',
        css_template=charts.CSS,
    )
    _confusions(results, tests)
    parts = (report.per_class, report.reliability, report.learning_curves, report.out_of_scope)
    drawn = "".join(f"<div>{part}</div>" for write in parts if (part := section(write, results)))
    gr.HTML(f'<div class="grid">{drawn}</div>', css_template=charts.CSS)
    _mistakes(results, tests)


def _confusions(results: Results, tests: TestSet | None) -> None:
    """The confusion matrix beside what a chosen cell counts."""
    gr.HTML("<h3>What it takes for what</h3>", css_template=charts.CSS)
    with gr.Row(equal_height=False):
        cells = gr.HTML(
            section(matrix.matrix, results),
            css_template=charts.CSS + matrix.CSS,
            js_on_load=matrix.SCRIPT,
            elem_id="confusion-matrix",
            min_width=300,
            scale=3,
        )
        shown = gr.HTML(
            f'<div role="status"><p class="note">{HINT}</p></div>',
            css_template=charts.CSS,
            elem_id="confusion-cell",
            min_width=260,
            scale=2,
        )

    def show(event: gr.EventData) -> str:
        return cell(results, tests, event.true, event.predicted)

    cells.cell(show, None, shown, show_progress="minimal", api_visibility="private")


def cell(results: Results, tests: TestSet | None, true: object, predicted: object) -> str:
    """What the page shows for a cell; its place comes from a browser and is checked."""
    classes = len(results["dataset"]["label_names"])
    place = [i for i in (true, predicted) if isinstance(i, int) and 0 <= i < classes]
    if len(place) != 2:
        return f'<p class="note">{HINT}</p>'
    head = f'<div role="status"><h3>{escape(matrix.title(*place, results))}</h3></div>'
    if not report.report_of(results)["confusion_matrix"][place[0]][place[1]]:
        return head
    if tests is None:
        return f'{head}<p class="note">{escape(NO_DATASET)}</p>'
    try:
        pictures = tests.cell(*place)
    except CifarnetError as error:
        return f'{head}<p class="note">{escape(str(error))}</p>'
    names = results["dataset"]["label_names"]
    more = "" if len(pictures) < 60 else f" The {len(pictures)} most certain ones:"
    note = f'<p class="note">With the probability it gave, the highest first.{more}</p>'
    words = f"{names[place[0]]} named {names[place[1]]}"
    items = "".join(_picture(one, words) for one in pictures)
    return f'{head}{note}<ul class="pictures scroll" tabindex="0">{items}</ul>'


def _picture(picture: TestPicture, words: str) -> str:
    alt = escape(f"Test picture {picture.index}: {words}")
    return (
        f'<li><img src="{charts.data_uri(picture.pixels)}" alt="{alt}" loading="lazy">'
        f"{percent(picture.probability, 0)}</li>"
    )


def _mistakes(results: Results, tests: TestSet | None) -> None:
    """The most confident mistakes; their pictures come when they are scrolled into sight."""
    block = gr.HTML(
        section(lambda r: mistakes(r, None, "" if tests else NO_DATASET), results),
        css_template=charts.CSS,
        js_on_load=WHEN_SEEN if tests else None,
        elem_id="confident-mistakes",
    )
    if tests is None:
        return

    def load() -> str:
        rows = report.report_of(results)["confident_mistakes"]
        try:
            pictures = tests.pictures([row["index"] for row in rows])
        except CifarnetError as error:
            return mistakes(results, None, str(error))
        return mistakes(results, pictures)

    block.seen(
        lambda: section(lambda _: load(), results),
        None,
        block,
        show_progress="hidden",
        api_visibility="private",
    )


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
