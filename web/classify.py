"""The tab "Classify": one picture, what it shows, how sure the network is, and why."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from model.utils.errors import CifarnetError
from web import cards, pictures
from web.examples import Example, Examples
from web.journal import Entry, Journal
from web.models import Models
from web.site import Site
from web.uploads import MAX_UPLOAD, client_of, content_of, enclosing_tab, said_by

SCRIPT = (Path(__file__).parent / "picker.js").read_text(encoding="utf-8")
MOST_PILLS = 12  # classes that have room as buttons; more become a list to choose from

PICKER = f"""
<div class="picker" data-limit="{MAX_UPLOAD}">
  <input id="picture-file" type="file" accept="image/*" aria-label="Picture file" tabindex="-1">
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
GALLERY = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (button) trigger("chosen", { key: button.dataset.key });
});
new IntersectionObserver((entries, watcher) => {
  if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); trigger("seen"); }
}, { rootMargin: "600px" }).observe(element);
"""
LIVE = 'element.setAttribute("aria-live", "polite");'
SWITCH = (
    '<label class="switch"><input type="checkbox" id="heat-switch" checked> Show the heat-map'
    "</label>"
)
# Gradio's radio buttons have a name each, so the browser does not know that they belong together.
ARROWS = """
const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
document.addEventListener("keydown", (event) => {
  const from = event.target.closest("fieldset input[type=radio]"), step = steps[event.key];
  if (!from || !step) return;
  event.preventDefault();
  const all = [...from.closest("fieldset").querySelectorAll("input[type=radio]")];
  const to = all[(all.indexOf(from) + step + all.length) % all.length];
  to.focus();
  to.click();
});
"""
Shown = tuple[Any, ...]


def tab(site: Site) -> None:
    """Fills the tab; test images of the site's dataset become examples."""
    models = site.models
    labels = models.classifier().label_names
    examples = Examples(labels, site.dataset)
    picture = gr.State(None)  # the chosen one: key of an example, or path of an upload
    with gr.Row(equal_height=False, elem_id="classify"):
        with gr.Column(scale=6, min_width=300):
            stage = _html(cards.EMPTY_STAGE, "stage")
            picker = _html(PICKER, "picker", SCRIPT)
            gallery = _html(_gallery({}), "examples", GALLERY)
        with gr.Column(scale=5, min_width=300):
            chosen = _model_choice(models)
            answer = _html(cards.empty_answer(), "answer", LIVE)
            why = _class_choice(labels)
            _html(SWITCH, "switch", ARROWS)
            explained = _html(cards.explained(None), "explained")
    compared = _html("", "compared")
    with gr.Accordion("The way through the layers", open=True, elem_id="layers-box"):
        layers = _html(cards.layers(()), "layers")

    desk = Desk(models, examples, site.journal)
    outputs = [picture, answer, why, stage, explained, compared, layers]
    quiet: dict[str, Any] = dict(
        show_progress="hidden", api_visibility="private", trigger_mode="always_last"
    )

    def picked(event: gr.EventData, names: list[str], request: gr.Request) -> Iterator[Shown]:
        yield from desk.look(str(said_by(event, "path")), names, client_of(request))

    def example(event: gr.EventData, names: list[str], request: gr.Request) -> Iterator[Shown]:
        yield from desk.look(str(said_by(event, "key")), names, client_of(request))

    def again(picture: str | None, names: list[str], request: gr.Request) -> Iterator[Shown]:
        yield from desk.look(picture, names, client_of(request))

    def explain(picture: str | None, label: str, names: list[str], request: gr.Request) -> Shown:
        return desk.explain(picture, label, names, client_of(request))

    picker.picked(picked, chosen, outputs, **quiet)
    gallery.chosen(example, chosen, outputs, **quiet)
    gallery.seen(lambda: _gallery(examples.all()), None, gallery, **quiet)
    why.input(explain, [picture, why, chosen], [stage, explained, compared], **quiet)
    chosen.input(again, [picture, chosen], outputs, **quiet)
    _follow_models(models, chosen, quiet)


class Desk:
    """Answers about one picture.

    Args:
        models: Those that can be asked.
        examples: Those that can be chosen.
        journal: Where questions are recorded.
    """

    def __init__(self, models: Models, examples: Examples, journal: Journal | None = None) -> None:
        self._models, self._examples = models, examples
        self._journal = journal or Journal()

    def look(
        self, picture: str | None, names: Sequence[str], client: str | None = None
    ) -> Iterator[Shown]:
        """Everything about a picture: the verdict at once, then what explains it.

        Args:
            picture: Key of an example or path of an upload; None if nothing was chosen yet.
            names: Of the models asked.
            client: The visitor's address.

        Yields:
            Values for picture, answer, why, stage, explained, compared and layers.
        """
        if picture is None:
            return
        try:
            with self._journal.question("page", client) as entry:
                yield from self._looked(picture, names, entry)
        except CifarnetError as error:
            said, none = cards.problem(str(error)), cards.explained(None)
            yield None, said, gr.skip(), cards.EMPTY_STAGE, none, "", cards.layers(())

    def _looked(self, picture: str, names: Sequence[str], entry: Entry) -> Iterator[Shown]:
        names = self._known(names)
        content = self._content(picture)
        entry.size = len(content)
        image = pictures.opened(content)
        found = [(name, self._models.classifier(name)(image)) for name in names]
        entry.answered([found[0][1]])
        labels = self._models.classifier(names[0]).label_names
        label = found[0][1].label
        why = _class_update(labels, label)
        yield picture, cards.answers(found), why, *[gr.skip()] * 4
        stages = self._models.classifier(names[0]).stages(image, box=found[0][1].box)
        boxes = {name: prediction.box for name, prediction in found}
        shown = self._explain(image, label, names, boxes)
        yield gr.skip(), gr.skip(), gr.skip(), *shown, cards.layers(stages)

    def explain(
        self, picture: str | None, label: str, names: Sequence[str], client: str | None = None
    ) -> Shown:
        """Where the evidence for one class lies: values for stage, explained and compared."""
        if picture is None:
            return gr.skip(), gr.skip(), gr.skip()
        try:
            with self._journal.question("explain", client):
                names = self._known(names)
                image = pictures.opened(self._content(picture))
                boxes = {name: self._models.classifier(name)(image).box for name in names}
                return self._explain(image, label, names, boxes)
        except CifarnetError as error:
            return gr.skip(), f'<p class="help">{escape(str(error))}</p>', ""

    def _explain(
        self, image: Image.Image, label: str, names: Sequence[str], boxes: dict[str, Any]
    ) -> Shown:
        found = []
        for name in names:
            classifier = self._models.classifier(name)
            known = label in classifier.label_names
            explanation = classifier.explain(image, label, box=boxes[name]) if known else None
            found.append((name, explanation))
        first = found[0][1]
        stage = cards.stage(image, first)
        seen = cards.explained(first) if first else '<p class="help">No such class.</p>'
        return stage, seen, cards.comparison(image, found) if len(found) > 1 else ""

    def _content(self, picture: str) -> bytes:
        example = self._examples.all().get(picture)
        return example.content if example else content_of(picture)

    def _known(self, names: Sequence[str]) -> list[str]:
        """The chosen models that are still there, otherwise the first."""
        offered = self._models.names
        return [name for name in offered if name in names] or offered[:1]


def _html(value: str, name: str, script: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=script, apply_default_css=False)


def _gallery(examples: dict[str, Example]) -> str:
    items = "".join(
        f'<li><button type="button" data-key="{key}" title="{escape(one.name)}"><img '
        f'src="{pictures.thumbnail_uri(pictures.opened(one.content))}" alt="{escape(one.name)}">'
        "</button></li>"
        for key, one in examples.items()
    )
    return f'<p class="caption">Or try one of these</p><ul class="gallery">{items}</ul>'


def _model_choice(models: Models) -> gr.CheckboxGroup:
    names = models.names
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


def _class_update(labels: Sequence[str], label: str) -> Any:
    return gr.update(choices=[(name, name) for name in labels], value=label)


def _follow_models(models: Models, chosen: gr.CheckboxGroup, quiet: dict[str, Any]) -> None:
    """A model that was trained meanwhile appears when the tab is shown again."""

    def now(names: list[str]) -> Any:
        offered = models.names
        kept = [name for name in offered if name in names] or offered[:1]
        return gr.update(choices=[(n, n) for n in offered], value=kept, visible=len(offered) > 1)

    enclosing_tab().select(now, chosen, chosen, **quiet)
