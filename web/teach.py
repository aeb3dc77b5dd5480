"""The tab "Teach it": a visitor's own classes and pictures, a training, a model to take home."""

from collections.abc import Callable, Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from model.hub import RESULTS_NAME
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import CifarnetError
from web import archive, cards, learn, lessons
from web.charts import percent
from web.classify import CAMERA, Desk, taking
from web.journal import Journal
from web.lessons import ENOUGH, FEWEST, OWN, Lesson, Lessons, Subject
from web.many import checked
from web.site import QUIET, Site, html, said_by
from web.takeaway import taught
from web.trainings import State
from web.uploads import MAX_UPLOAD
from web.use import copied

FILE = "try-file"  # id of the input that a click on the empty stage opens
EVERY = 1.0  # seconds between looks at a running training
TOLD = 3  # files that were not taken are named
INTRO = (
    "Name two classes or more, give each some pictures, and press Train: a network learns to tell "
    "them apart, here, in about a minute. Nobody else sees your pictures; they are kept at "
    f"{lessons.SIDE} pixels, and deleted half an hour after you have closed this tab."
)
TEN = '<button type="button" class="burst">Take ten</button>'
TOOLS = f"""
<div class="picker" data-limit="{MAX_UPLOAD}">
  <input id="lesson-files" type="file" multiple accept="image/*,.heic,.heif,.zip"
    aria-label="Pictures or zips" tabindex="-1">
{CAMERA.format(above='<p class="for"></p>', take="Take a picture", more=TEN)}
  <p class="status" role="status"></p>
</div>
"""
SNIPPET = """\
from cifarnet import Classifier

classify = Classifier.from_pretrained("my-model")  # the unpacked folder
print(classify("photo.jpg").sentence)
"""
PUSH = """\
hf auth login  # once
cifarnet push my-model YOUR_NAME/my-model
"""

Act = Callable[[Lesson, gr.EventData], object]
ACTS: dict[str, Act] = {
    "added": lambda lesson, event: lesson.add_class(),
    "named": lambda lesson, event: lesson.rename(said_by(event, "of"), said_by(event, "name")),
    "removed": lambda lesson, event: lesson.remove(said_by(event, "of"), said_by(event, "picture")),
    "dropped": lambda lesson, event: lesson.remove_class(said_by(event, "of")),
}
"""What visitors do to their classes, by the names of the browser's events."""


def tab(site: Site) -> None:
    """Fills the tab."""
    assert site.lessons is not None
    school = School(site.lessons, site.journal)
    key = gr.Textbox(visible="hidden", label="Lesson")  # which the browser remembers
    html(f"<p>{escape(INTRO)}</p><h3>1. Give it pictures</h3>", styles="charts.css")
    tools = html(TOOLS, "lesson-tools", script="files.js camera.js teach.js")
    board = html("", "lesson")
    html('<h3 class="part">2. Train</h3>', styles="charts.css")
    with gr.Row():
        choices = [("my pictures", OWN)]
        choices += [(f"{one} (ready)", one) for one in site.lessons.ready]
        source = gr.Radio(choices, value=OWN, label="Learn from", scale=2, min_width=260)
        start = gr.Button("Train", variant="primary", min_width=120, elem_id="start-training")
        stop = gr.Button("Stop and keep", interactive=False, min_width=120, elem_id="stop-training")
    shown = html(learn.view(State()), "training-view", styles="charts.css matrix.css learn.css")
    with gr.Column(visible=False) as use:
        html('<h3 class="part">3. Try it</h3>', styles="charts.css")
        fresh = _tried(school, key, site.journal)
        taken = html("", "take-home", script="use.js", styles="charts.css use.css")
    clock = gr.Timer(EVERY, active=False)
    view = [shown, start, stop, clock, use, taken]
    all_of_them: dict[str, Any] = dict(QUIET, trigger_mode="multiple")
    # Whoever does two things at once sees what came of both: no older board comes after a newer.
    in_turn: dict[str, Any] = dict(concurrency_id="board", concurrency_limit=1)
    tools.opened(school.open, None, [key, board, *view], **QUIET, **in_turn)
    for name, act in ACTS.items():
        getattr(tools, name)(school.changing(act), key, board, **all_of_them, **in_turn)
    # Files take long, and wait for nobody: the board is made again when they are all there.
    all_there = tools.given(school.take, key, board, **all_of_them)
    all_there.then(school.board, key, board, **all_of_them, **in_turn)
    tools.forget(school.forget, key, [board, *view, *fresh], **QUIET, **in_turn)
    start.click(school.begin, [key, source], view, **QUIET)
    stop.click(school.end, key, view, **QUIET)
    clock.tick(school.look, key, view, **QUIET)


def _tried(school: "School", key: gr.Textbox, journal: Journal) -> list[gr.components.Component]:
    """Where a model is tried; components for what `School.forget` says of them."""
    looked_at = gr.Textbox(visible="hidden", label="Picture to try")
    with gr.Row(equal_height=False, elem_id="try"):
        with gr.Column(scale=6, min_width=300):
            stage, tried = taking(FILE, "try-", "#try", "#try-answer")
        with gr.Column(scale=5, min_width=300):
            answer = html(cards.empty_answer(), "try-answer", script="live.js")
            why = gr.Dropdown([], label="Show what speaks for", elem_id="try-why", visible="hidden")
    desk = Desk("try", FILE, school.model, journal)

    def pick(key: str, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        for shown in desk.look(str(said_by(event, "path")), key):
            yield shown[:4]

    def explain(*asked: str) -> Any:
        return desk.explain(*asked)[0]

    latest: dict[str, Any] = dict(QUIET, trigger_mode="always_last")
    tried.picked(pick, key, [looked_at, answer, why, stage], **latest)
    why.input(explain, [looked_at, why, key], stage, **latest)
    return [looked_at, stage, answer, why]


class School:
    """What the tab does with lessons; a key is a visitor's.

    Args:
        every: All lessons.
        journal: Where questions are recorded.
    """

    def __init__(self, every: Lessons, journal: Journal) -> None:
        self._lessons, self._journal = every, journal

    def open(self, event: gr.EventData) -> tuple[Any, ...]:
        """A visitor has come: values for key, board and view."""
        key = str(said_by(event, "key"))
        return key, self.board(key, ""), *self.look(key)

    def board(self, key: str, said: str | None = None) -> str:
        """A visitor's classes as the page shows them, and what is said; None says it again."""
        try:
            lesson = self._lessons.open(key)
            if said is not None:
                lesson.said = said
            return board(lesson)
        except CifarnetError as error:
            return f'<p class="help">{escape(str(error))}</p>'

    def changing(self, act: Act) -> Callable[[str, gr.EventData], str]:
        """A function that does something to a visitor's classes."""

        def change(key: str, event: gr.EventData) -> str:
            try:
                act(self._lessons.open(key), event)
            except CifarnetError as error:
                return self.board(key, str(error))
            return self.board(key, "")

        return change

    def take(self, key: str, event: gr.EventData) -> Iterator[str]:
        """Keeps what was sent: pictures of a class, or zips of class folders.

        Yields:
            The visitor's classes, and how far it is; at last what was taken and what was not.
        """
        number, sent = said_by(event, "to"), checked(said_by(event, "files"))
        kept, refused = 0, list[str]()
        try:
            with self._journal.question("teach") as entry:
                lesson = self._lessons.open(key)
                for name, content in archive.items(sent):
                    try:
                        if isinstance(content, CifarnetError):
                            raise content
                        entry.size += len(content)
                        to = _class_of(lesson, name) if number is None else number
                        self._lessons.add(lesson, to, content)
                        kept += 1
                        if kept % ENOUGH == 0:
                            yield self.board(key, f"{kept} pictures taken …")
                    except CifarnetError as error:
                        refused.append(f"{name[-60:]}: {error}")
        except CifarnetError as error:
            refused.append(str(error))
        counted = f"{kept} {'picture' if kept == 1 else 'pictures'} taken."
        more = f" and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
        left = f" Not taken: {' '.join(refused[:TOLD])}{more}" if refused else ""
        yield self.board(key, counted + left)

    def forget(self, key: str) -> tuple[Any, ...]:
        """Deletes all of a visitor: values for board, view, and where a model is tried."""
        self._lessons.forget(key)
        fresh = ("", cards.empty_stage(FILE), cards.empty_answer(), gr.update(visible="hidden"))
        return self.board(key, ""), *self.look(key), *fresh

    def begin(self, key: str, source: str) -> tuple[Any, ...]:
        """Puts a visitor's training into the queue."""
        try:
            self._lessons.train(self._lessons.open(key), source)
        except CifarnetError as error:
            raise gr.Error(str(error), title="Not started", print_exception=False) from None
        return self.look(key)

    def end(self, key: str) -> tuple[Any, ...]:
        """Stops a visitor's training; what it has learned is kept."""
        if (lesson := self._lessons.find(key)) and lesson.training:
            lesson.training.stop()
        return self.look(key)

    def look(self, key: str) -> tuple[Any, ...]:
        """How a visitor's training stands: values for view, buttons, clock, and what is ready."""
        lesson = self._lessons.find(key)
        training, model = (lesson.training, lesson.model) if lesson else (None, None)
        state = training.state if training else State()
        ahead = self._lessons.trainings.ahead(training) if training else 0
        # Asked every second: results are read once there is a training to tell them of.
        results = _results(model) if model and state.phase == "done" else ""
        return (
            learn.view(state, ahead, results),
            gr.Button(interactive=not state.running),
            gr.Button(interactive=state.phase in ("waiting", "reading", "training")),
            gr.Timer(active=state.running),
            gr.Column(visible=model is not None),
            home(lesson) if lesson and model else "",
        )

    def model(self, key: str) -> dict[str, Classifier]:
        """A visitor's, as a `Desk` asks for models.

        Raises:
            CifarnetError: If there is none.
        """
        lesson = self._lessons.find(key)
        if lesson is None or lesson.model is None:
            raise CifarnetError("Nothing has been taught yet.")
        return {"": taught(lesson.model)}


def board(lesson: Lesson) -> str:
    """A card for each class, and what can be done with all of them."""
    with lesson.lock:
        shown = "".join(_card(lesson, number, one) for number, one in lesson.subjects.items())
        counted = f"{lesson.count} pictures in {len(lesson.subjects)} classes."
    return (
        f'<p class="status" role="status">{escape(lesson.said or counted)}</p>'
        f'<ul class="classes">{shown}</ul>'
        '<div class="row"><button type="button" data-act="new">Add a class</button>'
        '<button type="button" data-act="zip">Open a zip of class folders</button>'
        '<button type="button" data-act="forget">Start over, delete all</button></div>'
    )


def _card(lesson: Lesson, number: int, one: Subject) -> str:
    name, count = escape(one.name), len(one.pictures)
    hint = ""
    if count < ENOUGH:
        hint = f"at least {FEWEST}, better {ENOUGH}" if count < FEWEST else f"better {ENOUGH}"
    pictures = "".join(
        f'<li><button type="button" data-picture="{picture}" tabindex="{-1 if i else 0}" '
        f'aria-label="Remove picture {i + 1} of {name}"><img loading="lazy" alt="" '
        f'src="lesson/{lesson.key}/picture/{number}/{picture}"></button></li>'
        for i, picture in enumerate(one.pictures)
    )
    return (
        f'<li class="class" data-class="{number}"><div class="head">'
        f'<input id="class-{number}" value="{name}" maxlength="{lessons.LONGEST_NAME}" '
        f'aria-label="Name of the class" autocomplete="off"><span class="count">{count}'
        '<span class="unseen"> pictures</span></span>'
        f'<button type="button" data-act="drop" aria-label="Remove the class {name}">✕</button>'
        f'</div><p class="hint">{hint}&nbsp;</p><div class="row">'
        f'<button type="button" data-act="files" aria-label="Choose pictures of {name}">Choose'
        f'</button><button type="button" data-act="camera" aria-label="Photograph {name}">Camera'
        f'</button><button type="button" data-act="paste" aria-label="Paste a picture of {name}">'
        f'Paste</button></div><ul class="thumbs">{pictures}</ul></li>'
    )


def home(lesson: Lesson) -> str:
    """Downloads, and what to do with them."""
    links = [("model.zip", "the model", "weights, config, card, results")]
    if find_spec("onnx") and find_spec("onnxscript"):
        links.append(("model.onnx", "ONNX", "one file for other programs; takes some seconds"))
    if lesson.count:
        links.append(("pictures.zip", "the pictures", "class folders, for train.py --dataset"))
    rows = "".join(
        f'<li><a href="lesson/{lesson.key}/{name}" download>Download {title}</a>'
        f'<span class="note">{note}</span></li>'
        for name, title, note in links
    )
    return (
        f'<h3 class="part">4. Take it with you</h3><ul class="downloads">{rows}</ul>'
        + copied("taught", "Python: use the model", SNIPPET)
        + copied("push", "Shell: send it to the Hugging Face hub", PUSH)
        + '<p class="note">Both need this code: pip install . in a checkout of it.</p>'
    )


def _results(model: Path) -> str:
    """What a model did on pictures that it never saw, in words."""
    test = files.read_json(model / RESULTS_NAME)["test"]["plain"]
    right = round(test["accuracy"] * test["count"])
    return (
        f"It named {right:,} of {test['count']:,} test pictures rightly, which it never saw: "
        f"{percent(test['accuracy'])}."
    )


def _class_of(lesson: Lesson, name: str) -> int:
    """The class that a picture belongs to by the folder that it lies in."""
    folder = PurePosixPath(name.replace("\\", "/")).parent.name
    if not folder:
        raise CifarnetError("It lies in no class folder; drop it onto a class.")
    return lesson.class_named(folder)
