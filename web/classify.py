"""The tab "Classify": one picture, what it shows, how sure the network is, and why."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from model.inference.classifier import Classifier
from model.inference.crops import Picture
from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError
from web import cards, pictures
from web.answers import predict, read
from web.examples import Example, Examples
from web.journal import Journal
from web.site import QUIET, Site, html, said_by
from web.uploads import MAX_UPLOAD, content_of

MOST_PILLS = 12  # classes that have room as buttons; more become a list to choose from

CAMERA = """\
  <div class="camera" hidden>{above}
    <video playsinline muted autoplay aria-label="Camera"></video>
    <div class="row">
      <button type="button" class="take primary">{take}</button>{more}
      <button type="button" class="other">Other camera</button>
      <button type="button" class="close">Close</button>
    </div>
  </div>
"""
PICKER = f"""
<div class="picker" data-limit="{MAX_UPLOAD}" data-zone="{{zone}}" data-live="{{live}}">
  <input id="{{file}}" type="file" accept="image/*,.heic,.heif" aria-label="Picture file"
    tabindex="-1">
{CAMERA.format(above="", take="Take the picture", more="")}
  <div class="row">
    <button type="button" class="choose primary">Choose a picture</button>
    <button type="button" class="paste">Paste</button>
    <button type="button" class="open">Camera</button>
  </div>
  <p class="status" role="status"></p>
</div>
"""
"""`file` is the input's id, `zone` selects the part of the page whose drops and pasted pictures it
takes, "" all of it, and `live` the answer that follows the camera, "" none."""
SWITCH = (
    '<label class="switch"><input type="checkbox" id="heat-switch" checked> Show the heat-map'
    "</label>"
)
FILE = "picture-file"  # id of the input that a click on the empty stage opens
Shown = tuple[Any, ...]


def taking(file: str, name: str = "", zone: str = "", live: str = "") -> tuple[gr.HTML, gr.HTML]:
    """The stage of a picture, and all the ways to give one: `PICKER`; `name` begins both ids."""
    stage = html(cards.empty_stage(file), f"{name}stage")
    picker = PICKER.format(file=file, zone=zone, live=live)
    return stage, html(picker, f"{name}picker", script="files.js camera.js picker.js")


def tab(site: Site) -> None:
    """Fills the tab; test images of the site's dataset become examples."""
    models, labels = site.models, site.models.classifier().label_names
    examples = Examples(labels, site.dataset)
    desk = Desk("page", FILE, models.chosen, site.journal, examples.content)
    # What is looked at: key of an example, or path of an upload. The browser remembers it.
    source = gr.Textbox(visible="hidden", label="Picture")
    with gr.Row(equal_height=False, elem_id="classify"):
        with gr.Column(scale=6, min_width=300):
            stage, chooser = taking(FILE)
            gallery = html(_gallery({}, labels), "examples", script="gallery.js seen.js")
        with gr.Column(scale=5, min_width=300):
            chosen = gr.CheckboxGroup(
                models.names,
                value=models.names[:2],
                label="Models",
                info="Choose several to compare them.",
                visible=len(models.names) > 1,
                elem_id="models",
            )
            answer = html(cards.empty_answer(), "answer", script="live.js")
            kind = gr.Radio if len(labels) <= MOST_PILLS else gr.Dropdown
            why = kind(
                list(labels),
                value=None,
                label="Show what speaks for",
                info="Why not another one? Choose it.",
                elem_id="why",
            )
            html(SWITCH, "switch", script="arrows.js")
            explained = html(cards.explained(None), "explained")
    compared = html("", "compared")
    with gr.Accordion("The way through the layers", open=True, elem_id="layers-box"):
        layers = html(cards.layers(()), "layers")

    def picked(event: gr.EventData, names: list[str]) -> Iterator[Shown]:
        yield from desk.look(str(said_by(event, "path") or said_by(event, "key")), names)

    def offered() -> Iterator[str]:
        yield _gallery(examples.ready, labels)
        if examples.came():
            yield _gallery(examples.ready, labels)

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
        kind: Of the question, for the journal.
        file: Id of the input that a click on the empty stage opens.
        models: Those that are asked, by what a visitor has chosen.
        journal: Where questions are recorded.
        content: The file that a source stands for.
    """

    def __init__(
        self,
        kind: str,
        file: str,
        models: Callable[[Any], dict[str, Classifier]],
        journal: Journal,
        content: Callable[[str], bytes] = content_of,
    ) -> None:
        self._kind, self._file, self._models = kind, file, models
        self._journal, self._content = journal, content

    def look(self, source: str, chosen: Any) -> Iterator[Shown]:
        """Everything about a picture: the verdict at once, then what explains it.

        Args:
            source: Such as the path of an upload; empty if nothing was chosen yet.
            chosen: What `models` understands.

        Yields:
            Values for source, answer, why, stage, explained, compared and layers.
        """
        if not source:
            return
        try:
            with self._journal.question(self._kind) as entry:
                content, models = self._content(source), self._models(chosen)
                entry.size = len(content)
                picture = read(content)
                found = {name: predict(one, [picture])[0] for name, one in models.items()}
                first, classifier = next(iter(found.values())), next(iter(models.values()))
                entry.answered([first])
                names = list(classifier.label_names)
                why = gr.update(choices=names, value=first.label, visible=True)
                yield source, cards.answers(found), why, *[gr.skip()] * 4
                layers = cards.layers(classifier.stages(picture, box=first.box))
                shown = self._explain(picture, first.label, models, found)
                yield *[gr.skip()] * 3, *shown, layers
        except CifarnetError as error:
            said, none = cards.problem(str(error)), cards.explained(None)
            yield "", said, gr.skip(), cards.empty_stage(self._file), none, "", cards.layers(())

    def explain(self, source: str, label: str, chosen: Any) -> Shown:
        """Where the evidence for one class lies: values for stage, explained and compared."""
        if not source:
            return (gr.skip(),) * 3
        try:
            with self._journal.question("explain"):
                picture, models = read(self._content(source)), self._models(chosen)
                found = {name: predict(one, [picture])[0] for name, one in models.items()}
                return self._explain(picture, label, models, found)
        except CifarnetError as error:
            return gr.skip(), f'<p class="help">{escape(str(error))}</p>', ""

    def _explain(
        self,
        picture: Picture,
        label: str,
        models: dict[str, Classifier],
        found: dict[str, Prediction],
    ) -> Shown:
        explanations = {  # of the models that know the class
            name: one.explain(picture, label, found[name].box) if label in one.label_names else None
            for name, one in models.items()
        }
        first = next(iter(explanations.values()))
        shown = cards.explained(first) if first else '<p class="help">No such class.</p>'
        compared = cards.comparison(picture, explanations) if len(found) > 1 else ""
        return cards.stage(picture, first), shown, compared


def _gallery(examples: dict[str, Example], labels: tuple[str, ...]) -> str:
    known = {label.casefold() for label in labels}
    some_known = not examples or any(one.shows.casefold() in known for one in examples.values())
    caption = "Or try one of these" if some_known else "Or something that it does not know"
    items = "".join(
        f'<li><button type="button" data-key="{key}" title="{escape(one.name)}"><img '
        f'src="{pictures.thumbnail_uri(read(one.content).image)}" alt="{escape(one.name)}">'
        "</button></li>"
        for key, one in examples.items()
    )
    return f'<p class="caption">{caption}</p><ul class="gallery">{items}</ul>'
