"""The tab "Many images": files or a zip become a table that can be sorted, filtered and saved."""

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from model.inference.classifier import Classifier, Prediction
from model.utils.errors import CifarnetError, ImageError
from model.utils.images import Pixels, read_image
from web import archive, pictures
from web.archive import Item
from web.charts import percent
from web.journal import Entry
from web.models import Models
from web.site import Site
from web.uploads import (
    MAX_PIXELS,
    MAX_UPLOAD,
    client_of,
    enclosing_tab,
    said_by,
    upload_path,
)

SCRIPT = (Path(__file__).parent / "many.js").read_text(encoding="utf-8")
DROP_SCRIPT = (Path(__file__).parent / "dropper.js").read_text(encoding="utf-8")
BATCH, BATCH_BYTES = 32, 32 * 2**20  # pictures and bytes that go through the network at once
VERDICTS = {"confident": "confident", "unsure": "unsure", "none": "none of the classes"}
UNREAD = "not read"
HELP = (
    f"Several pictures, or a zip of them: at most {archive.MOST_PICTURES} pictures, "
    f"{archive.MOST_BYTES_EACH // 2**20} MB each and {archive.MOST_BYTES // 2**20} MB together. "
    "They are deleted within half an hour."
)
DROPPER = f"""
<div class="dropper picker" data-limit="{MAX_UPLOAD}" data-most="{archive.MOST_PICTURES}">
  <input id="many-input" type="file" multiple accept="image/*,.zip" aria-label="Picture files"
    tabindex="-1">
  <label class="stage empty" for="many-input"><span><b>Drop pictures or a zip here</b>
    <span>or click to choose them</span></span></label>
  <div class="row"><button type="button" class="choose primary">Choose files</button></div>
  <p class="status" role="status"></p>
</div>
"""
NOTHING = '<p class="help">The table will stand here.</p>'


@dataclass(frozen=True)
class Row:
    """One file and what became of it."""

    name: str
    thumbnail: str
    prediction: Prediction | None
    problem: str = ""


def tab(site: Site) -> None:
    """Fills the tab."""
    models = site.models
    uploads = gr.State([])  # names and paths of what was sent
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            dropper = _html(DROPPER, "many-files", DROP_SCRIPT)
        with gr.Column(scale=2, min_width=300):
            _html(f'<p class="help">{HELP}</p>', "many-help")
            names = models.names
            model = gr.Dropdown(
                names, value=names[0], label="Model", visible=len(names) > 1, elem_id="many-model"
            )
            progress = _html(_progress(0, ""), "many-progress")
    table = _html(NOTHING, "many-table", SCRIPT)

    def fill(event: gr.EventData, name: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        files = _checked(said_by(event, "files"))
        with site.journal.question("table", client_of(request)) as entry:
            for shown in answers(models, files, name, entry):
                yield files, *shown

    def again(
        files: list[tuple[str, Path]], name: str, request: gr.Request
    ) -> Iterator[tuple[Any, Any]]:
        with site.journal.question("table", client_of(request)) as entry:
            yield from answers(models, files, name, entry)

    def refresh(name: str) -> Any:
        offered = models.names
        value = name if name in offered else offered[0]
        choices = [(one, one) for one in offered]
        return gr.update(choices=choices, value=value, visible=len(offered) > 1)

    quiet: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")
    dropper.picked(fill, model, [uploads, progress, table], **quiet)
    model.input(again, [uploads, model], [progress, table], trigger_mode="always_last", **quiet)
    enclosing_tab().select(refresh, model, model, **quiet)


def answers(
    models: Models,
    files: Sequence[tuple[str, Path]],
    name: str,
    entry: Entry | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Classifies uploaded files.

    Args:
        models: Those that can be asked.
        files: Names to show, and where the uploads lie.
        name: Of the model asked; the first if it is gone.
        entry: Where sizes and verdicts are noted.

    Yields:
        What to show as progress, and as table.
    """
    if not files:
        yield _progress(0, ""), NOTHING
        return
    entry = entry or Entry()
    try:
        classifier = models.classifier(name if name in models.names else None)
    except CifarnetError as error:
        entry.failed(error)
        yield _progress(0, str(error)), NOTHING
        return
    rows: list[Row] = []
    yield _progress(0, "Reading …"), gr.skip()
    for batch in _batches(archive.items(files)):
        found = classified(classifier, batch)
        entry.size += sum(len(item.content or b"") for item in batch)
        entry.answered(row.prediction for row in found if row.prediction)
        rows += found
        yield _progress(None, f"{len(rows)} files done …"), gr.skip()
    yield _progress(1, summary(rows)), table_of(rows)


def classified(classifier: Classifier, batch: Sequence[Item]) -> list[Row]:
    """Classifies what can be read of a batch, together."""
    rows: list[Row] = []
    contents: list[Pixels] = []
    for item in batch:
        thumbnail, problem = "", item.problem
        if item.content is not None:
            try:
                image = read_image(
                    item.content, at_least=2 * pictures.THUMBNAIL, max_pixels=MAX_PIXELS
                )
                thumbnail = pictures.thumbnail_uri(image)
                contents.append(item.content)
            except ImageError as error:
                problem = str(error)
        rows.append(Row(item.name, thumbnail, None, problem))
    found = iter(classifier(contents) if contents else [])
    return [row if row.problem else Row(row.name, row.thumbnail, next(found)) for row in rows]


def summary(rows: Sequence[Row]) -> str:
    """What came out, in words."""
    read = [row.prediction for row in rows if row.prediction]
    counts = [(word, sum(one.verdict == key for one in read)) for key, word in VERDICTS.items()]
    counts.append((UNREAD, len(rows) - len(read)))
    parts = ", ".join(f"{count} {word}" for word, count in counts if count)
    return f"{len(rows)} files: {parts}." if rows else "There was no picture in there."


def table_of(rows: Sequence[Row]) -> str:
    """The table, with what searches, filters and saves it."""
    if not rows:
        return NOTHING
    options = "".join(
        f'<option value="{escape(word)}">{escape(word)}</option>'
        for word in (*VERDICTS.values(), UNREAD)
    )
    data = base64.b64encode(csv_of(rows).encode("utf-8-sig")).decode()
    heads = "".join(
        f'<th scope="col"><button type="button">{name}</button></th>'
        for name in ("File", "Shows", "Probability", "Verdict")
    )
    body = "".join(_row(row) for row in rows)
    return (
        '<div class="tools"><label>Search <input class="find" type="search"></label>'
        f'<label>Verdict <select class="verdicts"><option value="">all</option>{options}</select>'
        f'</label><span class="count" role="status">{len(rows)} of {len(rows)} shown</span>'
        f'<a class="save" download="predictions.csv" href="data:text/csv;base64,{data}">'
        "Download CSV</a></div>"
        f'<div class="table" tabindex="0" role="region" aria-label="Predictions"><table><thead><tr>'
        f'<th scope="col"><span class="unseen">Picture</span></th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def csv_of(rows: Sequence[Row]) -> str:
    """All rows as CSV. Names that a spreadsheet would take for formulas are kept from being it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", "label", "probability", "verdict", "problem"])
    for row in rows:
        name = f"'{row.name}" if row.name[:1] in "=+-@\t\r" else row.name
        found = row.prediction
        values = [found.label, f"{found.probability:.4f}", found.verdict] if found else ["", "", ""]
        writer.writerow([name, *values, row.problem])
    return out.getvalue()


def _checked(files: Any) -> list[tuple[str, Path]]:
    """What a browser says it has sent; paths that are not of uploads become missing files."""
    found = files[: archive.MOST_PICTURES] if isinstance(files, list) else []
    return [
        (str(file.get("name", ""))[:200], upload_path(file.get("path")) or Path("missing"))
        for file in found
        if isinstance(file, dict)
    ]


def _html(value: str, name: str, script: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=script, apply_default_css=False)


def _row(row: Row) -> str:
    found = row.prediction
    word = VERDICTS[found.verdict] if found else UNREAD
    image = '<span class="blank"></span>'
    if row.thumbnail:
        image = f'<img src="{row.thumbnail}" alt="" loading="lazy">'
    label = found.label if found else ""
    text = escape(f"{row.name} {label}".lower())
    kind = found.verdict if found else "none"
    return (
        f'<tr class="{kind}" data-text="{text}" data-verdict="{escape(word)}"><td>{image}</td>'
        f'<td class="file">{escape(row.name)}</td>{_said(row)}'
        f'<td><span class="tag {kind}">{escape(word)}</span></td></tr>'
    )


def _said(row: Row) -> str:
    """Class and probability: two cells in any case, since columns are sorted by place."""
    if row.prediction is None:
        return (
            f'<td colspan="2" data-key="">{escape(row.problem)}</td><td hidden data-key="-1"></td>'
        )
    label, share = escape(row.prediction.label), row.prediction.probability
    said = f"closest: {label}" if row.prediction.verdict == "none" else label
    return (
        f'<td data-key="{label}">{said}</td>'
        f'<td class="number" data-key="{share:.6f}">{percent(share)}</td>'
    )


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Groups of files that fit in memory together."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.content or b"")
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _progress(share: float | None, text: str) -> str:
    """A bar and a sentence; without a share the bar only says that something goes on."""
    value = "" if share is None else f' value="{share}"'
    return (
        f'<progress max="1"{value} aria-label="Progress"></progress>'
        f'<p class="help" role="status">{escape(text)}\N{NO-BREAK SPACE}</p>'
    )
