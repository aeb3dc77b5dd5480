"""The tab "Many images": files or a zip become a table that can be sorted, filtered and saved."""

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from model.utils.errors import CifarnetError
from web import archive, pictures
from web.answers import Answer, answers
from web.charts import percent
from web.site import QUIET, Site, html, said_by
from web.uploads import MAX_UPLOAD, upload_path

REPORTED = 32  # rows between reports of progress
VERDICTS = {"confident": "confident", "unsure": "unsure", "none": "none of the classes"}
UNREAD = "not read"
HELP = (
    f"Several pictures, or a zip of them: at most {archive.MOST_PICTURES} pictures, "
    f"{archive.MOST_BYTES_EACH // 2**20} MB each and {archive.MOST_BYTES // 2**20} MB together. "
    "They are deleted within half an hour."
)
DROPPER = f"""
<div class="dropper picker" data-limit="{MAX_UPLOAD}" data-most="{archive.MOST_PICTURES}">
  <input id="many-input" type="file" multiple accept="image/*,.heic,.heif,.zip"
    aria-label="Picture files" tabindex="-1">
  <label class="stage empty" for="many-input"><span><b>Drop pictures or a zip here</b>
    <span>or click to choose them</span></span></label>
  <div class="row"><button type="button" class="choose primary">Choose files</button></div>
  <p class="status" role="status"></p>
</div>
"""
NOTHING = '<p class="help">The table will stand here.</p>'


Row = tuple[str, str, Answer]
"""A file's name, its thumbnail as something an <img> can show or "", and what became of it."""


def tab(site: Site) -> None:
    """Fills the tab."""
    sent = gr.JSON([], visible="hidden", label="Files")  # which the browser remembers
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            dropper = html(DROPPER, "many-files", script="files.js dropper.js")
        with gr.Column(scale=2, min_width=300):
            html(f'<p class="help">{HELP}</p>', "many-help")
            names = site.models.names
            model = gr.Dropdown(
                names, value=names[0], label="Model", visible=len(names) > 1, elem_id="many-model"
            )
            progress = html(_progress(0, ""), "many-progress")
    table = html(NOTHING, "many-table", script="many.js")

    def fill(event: gr.EventData, name: str) -> Iterator[tuple[Any, ...]]:
        files = said_by(event, "files")
        for shown in again(files, name):
            yield files, *shown

    def again(files: Any, name: str) -> Iterator[tuple[Any, Any]]:
        yield from named(site, checked(files), name)

    dropper.picked(fill, model, [sent, progress, table], **QUIET)
    model.input(again, [sent, model], [progress, table], trigger_mode="always_last", **QUIET)


def named(site: Site, files: Sequence[tuple[str, Path]], model: str) -> Iterator[tuple[Any, Any]]:
    """Classifies uploaded files.

    Args:
        site: Whose models answer.
        files: Names to show, and where the uploads lie.
        model: Name of the one asked; the first if it is gone.

    Yields:
        What to show as progress, and as table.
    """
    if not files:
        yield _progress(0, ""), NOTHING
        return
    yield _progress(0, "Reading …"), gr.skip()
    names: list[str] = []

    def contents() -> Iterator[bytes | CifarnetError]:
        for name, content in archive.items(files):
            names.append(name)
            yield content

    rows: list[Row] = []
    with site.journal.question("table") as entry:
        for one in answers(site.models.classifier(model), contents(), entry):
            small = pictures.thumbnail_uri(one.picture.image) if one.picture else ""
            # Small: hundreds of pictures, once they are in the table, would fill the memory.
            rows.append((names[len(rows)], small, replace(one, picture=None)))
            if len(rows) % REPORTED == 0:
                yield _progress(None, f"{len(rows)} files done …"), gr.skip()
    yield _progress(1, summary(rows)), table_of(rows)


def summary(rows: Sequence[Row]) -> str:
    """What came out, in words."""
    read = [one.prediction for *_, one in rows if one.prediction]
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
    body = "".join(_row(*row) for row in rows)
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
    """All rows as CSV. What a spreadsheet would take for a formula is kept from being one."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", "label", "probability", "verdict", "problem"])
    for name, _, one in rows:
        found = one.prediction
        values: list[Any] = ["", "", ""]
        if found:
            values = [_plain(found.label), f"{found.probability:.4f}", found.verdict]
        writer.writerow([_plain(name), *values, one.problem])
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def checked(files: Any) -> list[tuple[str, Path]]:
    """What a browser says it has sent; paths that are not of uploads become missing files."""
    found = files[: archive.MOST_PICTURES] if isinstance(files, list) else []
    return [
        (str(file.get("name", ""))[:200], upload_path(file.get("path")) or Path("missing"))
        for file in found
        if isinstance(file, dict)
    ]


def _row(name: str, thumbnail: str, one: Answer) -> str:
    word, kind, label, image = UNREAD, "none", "", '<span class="blank"></span>'
    # Two cells in any case, since columns are sorted by place.
    cells = f'<td colspan="2" data-key="">{escape(str(one.problem))}</td><td hidden data-key="-1">'
    if found := one.prediction:
        kind, label, share = found.verdict, escape(found.label), found.probability
        word, image = VERDICTS[kind], f'<img src="{thumbnail}" alt="" loading="lazy">'
        cells = (
            f'<td data-key="{label}">{"closest: " * (kind == "none")}{label}</td>'
            f'<td class="number" data-key="{share:.6f}">{percent(share)}'
        )
    name = escape(name)
    return (
        f'<tr class="{kind}" data-text="{name.lower()} {label.lower()}" data-verdict="{word}">'
        f'<td>{image}</td><td class="file">{name}</td>{cells}</td>'
        f'<td><span class="tag {kind}">{word}</span></td></tr>'
    )


def _progress(share: float | None, text: str) -> str:
    """A bar and a sentence; without a share the bar only says that something goes on."""
    value = "" if share is None else f' value="{share}"'
    return (
        f'<progress max="1"{value} aria-label="Progress"></progress>'
        f'<p class="help" role="status">{escape(text)}\N{NO-BREAK SPACE}</p>'
    )
