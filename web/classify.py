"""The tab "Classify": one picture, what it shows, how sure the network is, and why."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from model.inference.crops import Picture
from model.inference.prediction import Explanation, Prediction
from model.utils.errors import CifarnetError
from web import cards, pictures
from web.answers import predict, read
from web.examples import Example, Examples
from web.site import QUIET, Site, html, said_by
from web.uploads import MAX_UPLOAD, content_of

MOST_PILLS = 12  # classes that have room as buttons; more become a list to choose from

PICKER = """
<div class="picker" data-limit="{limit}" data-zone="{zone}" data-live="{live}">
  <input id="{file}" type="file" accept="image/*,.heic,.heif" aria-label="Picture file"
    tabindex="-1">
  <div class="camera" hidden>
    <video playsinline muted autoplay aria-label="Camera"></video>
    <div class="row">
      <button type="button" class="take primary">Take the picture</button>
      <button type="button" class="other">Other camera</button>
      <button type="button" class="close">Close</button>
    </div>
  </div>
  <div class="row">
    <button type="button" class="choose primary">Choose a picture</button>
    <button type="button" class="paste">Paste</button>
    <button type="button" class="open">Camera</button>
  </div>
  <p class="status" role="status"></p>
</div>
"""
SWITCH = (
    '<label class="switch"><input type="checkbox" id="heat-switch" checked> Show the heat-map'
    "</label>"
)
FILE = "picture-file"  # id of the input that a click on the empty stage opens
Shown = tuple[Any, ...]


def tab(site: Site) -> None:
    """Fills the tab; test images of the site's dataset become examples."""
    labels = site.models.classifier().label_names
    desk = Desk(site, Examples(labels, site.dataset))
    # What is looked at: key of an example, or path of an upload. The browser remembers it.
    source = gr.Textbox(visible="hidden", label="Picture")
    with gr.Row(equal_height=False, elem_id="classify"):
        with gr.Column(scale=6, min_width=300):
            stage = html(cards.empty_stage(FILE), "stage")
            chooser = html(picker(FILE), "picker", script="camera.js picker.js")
            gallery = html(_gallery({}), "examples", script="gallery.js seen.js")
        with gr.Column(scale=5, min_width=300):
            chosen = _model_choice(site.models.names)
            answer = html(cards.empty_answer(), "answer", script="live.js")
            why = _class_choice(labels)
            html(SWITCH, "switch", script="arrows.js")
            explained = html(cards.explained(None), "explained")
    compared = html("", "compared")
    with gr.Accordion("The way through the layers", open=True, elem_id="layers-box"):
        layers = html(cards.layers(()), "layers")

    def picked(event: gr.EventData, names: list[str]) -> Iterator[Shown]:
        yield from desk.look(str(said_by(event, "path") or said_by(event, "key")), names)

    def offered() -> Iterator[str]:
        yield _gallery(desk.examples.ready)
        if desk.examples.came():
            yield _gallery(desk.examples.ready)

    outputs = [source, answer, why, stage, explained, compared, layers]
    latest: dict[str, Any] = dict(QUIET, trigger_mode="always_last")
    chooser.picked(picked, chosen, outputs, **latest)
    gallery.chosen(picked, chosen, outputs, **latest)
    gallery.seen(offered, None, gallery, concurrency_limit=None, **latest)
    why.input(desk.explain, [source, why, chosen], [stage, explained, compared], **latest)
    chosen.input(desk.look, [source, chosen], outputs, **latest)


class Desk:
    """Answers about one picture.

    Args:
        site: Whose models answer.
        examples: Those that can be chosen.
    """

    def __init__(self, site: Site, examples: Examples) -> None:
        self._models, self._journal, self.examples = site.models, site.journal, examples

    def look(self, source: str, names: Sequence[str]) -> Iterator[Shown]:
        """Everything about a picture: the verdict at once, then what explains it.

        Args:
            source: Key of an example or path of an upload; empty if nothing was chosen yet.
            names: Of the models asked.

        Yields:
            Values for source, answer, why, stage, explained, compared and layers.
        """
        if not source:
            return
        try:
            with self._journal.question("page") as entry:
                content = self._content(source)
                entry.size = len(content)
                picture, known = read(content), self._models.known(names)
                found = {name: self._predict(name, picture) for name in known}
                first, classifier = found[known[0]], self._models.classifier(known[0])
                entry.answered([first])
                labels = [(label, label) for label in classifier.label_names]
                why = gr.update(choices=labels, value=first.label)
                yield source, cards.answers(found), why, *[gr.skip()] * 4
                layers = cards.layers(classifier.stages(picture, box=first.box))
                yield *[gr.skip()] * 3, *self._explain(picture, first.label, found), layers
        except CifarnetError as error:
            said, none = cards.problem(str(error)), cards.explained(None)
            yield "", said, gr.skip(), cards.empty_stage(FILE), none, "", cards.layers(())

    def explain(self, source: str, label: str, names: Sequence[str]) -> Shown:
        """Where the evidence for one class lies: values for stage, explained and compared."""
        if not source:
            return (gr.skip(),) * 3
        try:
            with self._journal.question("explain"):
                picture = read(self._content(source))
                known = self._models.known(names)
                found = {name: self._predict(name, picture) for name in known}
                return self._explain(picture, label, found)
        except CifarnetError as error:
            return gr.skip(), f'<p class="help">{escape(str(error))}</p>', ""

    def _predict(self, name: str, picture: Picture) -> Prediction:
        return predict(self._models.classifier(name), [picture])[0]

    def _explain(self, picture: Picture, label: str, found: dict[str, Prediction]) -> Shown:
        explanations: dict[str, Explanation | None] = {}  # of the models that know the class
        for name, prediction in found.items():
            classifier = self._models.classifier(name)
            known = label in classifier.label_names
            explanations[name] = (
                classifier.explain(picture, label, prediction.box) if known else None
            )
        first = next(iter(explanations.values()))
        shown = cards.explained(first) if first else '<p class="help">No such class.</p>'
        compared = cards.comparison(picture, explanations) if len(found) > 1 else ""
        return cards.stage(picture, first), shown, compared

    def _content(self, source: str) -> bytes:
        example = self.examples.ready.get(source)
        return example.content if example else content_of(source)


def picker(file: str, zone: str = "", live: str = "") -> str:
    """Ways to choose a picture.

    Args:
        file: Id of the input.
        zone: Selector of the part of the page that drops and pasted pictures are meant for; all
            of it if there is none.
        live: Selector of the answer that follows the camera; none does without.
    """
    return PICKER.format(limit=MAX_UPLOAD, file=file, zone=zone, live=live)


def _gallery(examples: dict[str, Example]) -> str:
    items = "".join(
        f'<li><button type="button" data-key="{key}" title="{escape(one.name)}"><img '
        f'src="{pictures.thumbnail_uri(read(one.content).image)}" alt="{escape(one.name)}">'
        "</button></li>"
        for key, one in examples.items()
    )
    return f'<p class="caption">Or try one of these</p><ul class="gallery">{items}</ul>'


def _model_choice(names: list[str]) -> gr.CheckboxGroup:
    return gr.CheckboxGroup(
        names,
        value=names[:2],
        label="Models",
        info="Choose several to compare them.",
        visible=len(names) > 1,
        elem_id="models",
    )


def _class_choice(labels: Sequence[str]) -> gr.Radio | gr.Dropdown:
    kind = gr.Radio if len(labels) <= MOST_PILLS else gr.Dropdown
    return kind(
        list(labels),
        value=None,
        label="Show what speaks for",
        info="Why not another one? Choose it.",
        elem_id="why",
    )
