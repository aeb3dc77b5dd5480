"""The tab "Teach it": a visitor's own classes and pictures, a training, a model to take home."""

from collections.abc import Callable, Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from model.hub import RESULTS_NAME
from model.utils import files
from model.utils.errors import CifarnetError
from web import archive, cards, learn, lessons
from web.answers import predict, read
from web.charts import percent
from web.classify import picker
from web.lessons import ENOUGH, FEWEST, OWN, Lesson, Lessons, Subject
from web.many import checked
from web.site import QUIET, Site, html, said_by
from web.takeaway import taught
from web.trainings import State
from web.uploads import MAX_UPLOAD, content_of
from web.use import copied

FILE = "try-file"  # id of the input that a click on the empty stage opens
EVERY = 1.0  # seconds between looks at a running training
TOLD = 3  # files that were not taken are named
INTRO = (
    "Name two classes or more, give each some pictures, and press Train: a network learns to tell "
    "them apart, here, in about a minute. Nobody else sees your pictures; they are kept at "
    f"{lessons.SIDE} pixels, and deleted half an hour after you have closed this tab."
)
TOOLS = f"""
<div class="picker" data-limit="{MAX_UPLOAD}">
  <input id="lesson-files" type="file" multiple accept="image/*,.zip" aria-label="Pictures or zips"
    tabindex="-1">
  <div class="camera" hidden>
    <p class="for"></p>
    <video playsinline muted autoplay aria-label="Camera"></video>
    <div class="row">
      <button type="button" class="take primary">Take a picture</button>
      <button type="button" class="burst">Take ten</button>
      <button type="button" class="other">Other camera</button>
      <button type="button" class="close">Close</button>
    </div>
  </div>
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
    school = School(site, site.lessons)
    key = gr.Textbox(visible="hidden", label="Lesson")  # which the browser remembers
    looked_at = gr.Textbox(visible="hidden", label="Picture to try")
    html(f"<p>{escape(INTRO)}</p><h3>1. Give it pictures</h3>", styles="charts.css")
    tools = html(TOOLS, "lesson-tools", script="camera.js teach.js")
    board = html("", "lesson")
    html('<h3 class="part">2. Train</h3>', styles="charts.css")
    with gr.Row():
        choices = [("my pictures", OWN)]
        choices += [(f"{lessons.described(one)} (ready)", one) for one in site.lessons.ready]
        source = gr.Radio(choices, value=OWN, label="Learn from", scale=2, min_width=260)
        start = gr.Button("Train", variant="primary", min_width=120, elem_id="start-training")
        stop = gr.Button("Stop and keep", interactive=False, min_width=120, elem_id="stop-training")
    shown = html(learn.view(State()), "training-view", styles="charts.css matrix.css learn.css")
    with gr.Column(visible=False) as use:
        html('<h3 class="part">3. Try it</h3>', styles="charts.css")
        with gr.Row(equal_height=False, elem_id="try"):
            with gr.Column(scale=6, min_width=300):
                stage = html(cards.empty_stage(FILE), "try-stage")
                tried = html(
                    picker(FILE, "#try", "#try-answer"), "try-picker", script="camera.js picker.js"
                )
            with gr.Column(scale=5, min_width=300):
                answer = html(cards.empty_answer(), "try-answer", script="live.js")
                why = gr.Dropdown(
                    [], label="Show what speaks for", elem_id="try-why", visible="hidden"
                )
        taken = html("", "take-home", script="use.js", styles="charts.css use.css")
    clock = gr.Timer(EVERY, active=False)
    view = [shown, start, stop, clock, use, taken]
    all_of_them: dict[str, Any] = dict(QUIET, trigger_mode="multiple")
    latest: dict[str, Any] = dict(QUIET, trigger_mode="always_last")
    # Whoever does two things at once sees what came of both: no older board comes after a newer.
    in_turn: dict[str, Any] = dict(concurrency_id="board", concurrency_limit=1)

    def opened(event: gr.EventData) -> tuple[Any, ...]:
        own = str(said_by(event, "key"))
        return own, school.board(own, ""), *school.look(own)

    def changed(act: Act) -> Callable[..., str]:
        def run(key: str, event: gr.EventData) -> str:
            return school.change(key, act, event)

        return run

    def given(key: str, event: gr.EventData) -> Iterator[str]:
        yield from school.take(key, said_by(event, "to"), checked(said_by(event, "files")))

    def begin(key: str, source: str) -> tuple[Any, ...]:
        school.begin(key, source)
        return school.look(key)

    def end(key: str) -> tuple[Any, ...]:
        school.end(key)
        return school.look(key)

    def forget(key: str) -> tuple[Any, ...]:
        school.lessons.forget(key)
        start_over = (cards.empty_stage(FILE), cards.empty_answer(), gr.update(visible="hidden"))
        return "", school.board(key, ""), *school.look(key), *start_over

    def pick(key: str, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        yield from school.try_it(key, str(said_by(event, "path")))

    tools.opened(opened, None, [key, board, *view], **QUIET, **in_turn)
    for name, act in ACTS.items():
        getattr(tools, name)(changed(act), key, board, **all_of_them, **in_turn)
    # Files take long, and wait for nobody: the board is made again when they are all there.
    all_there = tools.given(given, key, board, **all_of_them)
    all_there.then(school.board, key, board, **all_of_them, **in_turn)
    tools.forget(forget, key, [looked_at, board, *view, stage, answer, why], **QUIET, **in_turn)
    start.click(begin, [key, source], view, **QUIET)
    stop.click(end, key, view, **QUIET)
    clock.tick(school.look, key, view, **QUIET)
    tried.picked(pick, key, [looked_at, answer, why, stage], **latest)
    why.input(school.explain, [key, looked_at, why], stage, **latest)


class School:
    """What the tab does with lessons.

    Args:
        site: Whose journal counts questions.
        every: All lessons.
    """

    def __init__(self, site: Site, every: Lessons) -> None:
        self.lessons, self._journal = every, site.journal

    def board(self, key: str, said: str | None = None) -> str:
        """A visitor's classes as the page shows them, and what is said; None says it again."""
        try:
            lesson = self.lessons.open(key)
            if said is not None:
                lesson.said = said
            return board(lesson)
        except CifarnetError as error:
            return f'<p class="help">{escape(str(error))}</p>'

    def change(self, key: str, act: Act, event: gr.EventData) -> str:
        """Does something to a visitor's classes."""
        said = ""
        try:
            act(self.lessons.open(key), event)
        except CifarnetError as error:
            said = str(error)
        return self.board(key, said)

    def take(self, key: str, number: Any, sent: list[tuple[str, Path]]) -> Iterator[str]:
        """Keeps what was sent: pictures of a class, or zips of class folders.

        Args:
            key: Of the visitor.
            number: Of the class; None takes the names of the folders that pictures lie in.
            sent: Names to show, and where the uploads lie.

        Yields:
            The visitor's classes, and how far it is; at last what was taken and what was not.
        """
        kept, refused = 0, list[str]()
        try:
            with self._journal.question("teach") as entry:
                lesson = self.lessons.open(key)
                for name, content in archive.items(sent):
                    try:
                        if isinstance(content, CifarnetError):
                            raise content
                        entry.size += len(content)
                        to = _class_of(lesson, name) if number is None else number
                        self.lessons.add(lesson, to, content)
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

    def begin(self, key: str, source: str) -> None:
        """Puts a visitor's training into the queue."""
        try:
            self.lessons.train(self.lessons.open(key), source)
        except CifarnetError as error:
            raise gr.Error(str(error), title="Not started", print_exception=False) from None

    def end(self, key: str) -> None:
        """Stops a visitor's training; what it has learned is kept."""
        if (lesson := self.lessons.find(key)) and lesson.training:
            lesson.training.stop()

    def look(self, key: str) -> tuple[Any, ...]:
        """How a visitor's training stands: values for view, buttons, clock, and what is ready."""
        lesson = self.lessons.find(key)
        training = lesson.training if lesson else None
        state = training.state if training else State()
        # Asked every second: results are read once there is a training to tell them of.
        results = _results(lesson) if state.phase == "done" else ""
        return (
            learn.view(state, self.lessons.trainings.ahead(training) if training else 0, results),
            gr.Button(interactive=not state.running),
            gr.Button(interactive=state.phase in ("waiting", "reading", "training")),
            gr.Timer(active=state.running),
            gr.Column(visible=bool(lesson and lesson.model)),
            home(lesson) if lesson and lesson.model else "",
        )

    def try_it(self, key: str, source: str) -> Iterator[tuple[Any, ...]]:
        """Answers about a picture: values for looked_at, answer, why and stage."""
        try:
            with self._journal.question("try") as entry:
                lesson = self.lessons.find(key)
                if lesson is None or lesson.model is None:
                    raise CifarnetError("Nothing has been taught yet.")
                content, classifier = content_of(source), taught(lesson.model)
                entry.size, picture = len(content), read(content)
                (found,) = predict(classifier, [picture])
                entry.answered([found])
                names = list(classifier.label_names)
                why = gr.update(choices=names, value=found.label, visible=True)
                yield source, cards.answer(found), why, cards.stage(picture)
                explanation = classifier.explain(picture, found.label, found.box)
                yield *[gr.skip()] * 3, cards.stage(picture, explanation)
        except CifarnetError as error:
            yield "", cards.problem(str(error)), gr.skip(), cards.empty_stage(FILE)

    def explain(self, key: str, source: str, label: str) -> Any:
        """Where the evidence for a class lies in the picture that was looked at."""
        lesson = self.lessons.find(key)
        if not source or lesson is None or lesson.model is None:
            return gr.skip()
        try:
            with self._journal.question("explain"):
                picture, classifier = read(content_of(source)), taught(lesson.model)
                (found,) = predict(classifier, [picture])
                if label not in classifier.label_names:
                    label = found.label
                return cards.stage(picture, classifier.explain(picture, label, found.box))
        except CifarnetError:
            return cards.empty_stage(FILE)


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


def _results(lesson: Lesson | None) -> str:
    """What a model did on pictures that it never saw, in words."""
    if lesson is None or lesson.model is None:
        return ""
    test = files.read_json(lesson.model / RESULTS_NAME)["test"]["plain"]
    right = round(test["accuracy"] * test["count"])
    return (
        f"It named {right:,} of {test['count']:,} test pictures rightly, which it never saw: "
        + (f"{percent(test['accuracy'])}.")
    )


def _class_of(lesson: Lesson, name: str) -> int:
    """The class that a picture belongs to by the folder that it lies in."""
    folder = PurePosixPath(name.replace("\\", "/")).parent.name
    if not folder:
        raise CifarnetError("It lies in no class folder; drop it onto a class.")
    return lesson.class_named(folder)
