"""The page's API: /classify and /classify_batch, for gradio_client, curl and MCP."""

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, TypedDict

import gradio as gr
from gradio import FileData

from model.inference.classifier import Classifier, Prediction
from model.utils.errors import CifarnetError
from web.journal import Entry
from web.many import BATCH_BYTES
from web.sessions import ApiSessions
from web.site import Site
from web.together import Together
from web.uploads import client_of, content_of

MOST_AT_ONCE = 64  # pictures in one call of /classify_batch
READERS = 4  # calls of /classify that read their pictures at the same time, to be answered together

DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,")


class Answer(TypedDict):
    """What is said about a picture."""

    label: str
    probability: float
    probabilities: dict[str, float]
    verdict: Literal["confident", "unsure", "none"]
    sentence: str
    scope: float
    box: list[int]


class Refusal(TypedDict):
    """Why nothing can be said about a picture of a batch."""

    error: str


def add(site: Site, page: gr.Blocks) -> None:
    """Adds the endpoints to the page that is being built; they answer for the first model."""
    models, journal, together = site.models, site.journal, Together()
    sessions = ApiSessions(page)

    def classify(image: FileData, request: gr.Request) -> Answer:
        """Names what a picture shows, with calibrated probabilities.

        Args:
            image: The picture, an uploaded image file in any common format; for MCP a data URI.

        Returns:
            The class, probabilities, and a verdict: "confident", "unsure" or "none" (of them).
        """
        sessions.seen(request.session_hash)
        try:
            with journal.question("classify", client_of(request)) as entry:
                content = _content(image)
                entry.size = len(content)
                found = together.ask(models.classifier(), content)
                entry.answered([found])
                return _answer(found)
        except CifarnetError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def classify_batch(images: list[FileData], request: gr.Request) -> list[Answer | Refusal]:
        """Names what several pictures show.

        Args:
            images: The pictures, 64 at most, each as for /classify.

        Returns:
            An answer for each, in the same order; where a picture cannot be read, its "error".
        """
        sessions.seen(request.session_hash)
        if not isinstance(images, list) or not 0 < len(images) <= MOST_AT_ONCE:
            raise gr.Error(f"Send 1 to {MOST_AT_ONCE} pictures.", print_exception=False)
        with journal.question("classify_batch", client_of(request)) as entry:
            return _batch(models.classifier(), images, entry)

    gr.api(classify, api_name="classify", concurrency_limit=READERS)
    gr.api(classify_batch, api_name="classify_batch")


def _content(image: object) -> bytes:
    """The content of an upload, which arrives as what its JSON says, or of a data URI."""
    if isinstance(image, str) and (uri := DATA_URI.match(image)):
        with suppress(binascii.Error):
            return base64.b64decode(image[uri.end() :], validate=True)
    return content_of(image.get("path") if isinstance(image, dict) else None)


def _batch(
    classifier: Classifier, images: Sequence[object], entry: Entry
) -> list[Answer | Refusal]:
    """Answers in order, a few pictures at a time: all of them may not fit in memory."""
    answers: list[Answer | Refusal] = []
    waiting: list[bytes] = []

    def flush() -> None:
        answers.extend(_together(classifier, waiting, entry))
        waiting.clear()

    for image in images:
        try:
            waiting.append(_content(image))
        except CifarnetError as error:
            flush()
            answers.append(_refusal(error, entry))
        if sum(map(len, waiting)) >= BATCH_BYTES:
            flush()
    flush()
    return answers


def _together(
    classifier: Classifier, contents: list[bytes], entry: Entry
) -> list[Answer | Refusal]:
    """Together where all can be read, otherwise one by one."""
    entry.size += sum(map(len, contents))
    try:
        found = classifier(list(contents))
    except CifarnetError:
        return [_alone(classifier, content, entry) for content in contents]
    entry.answered(found)
    return [_answer(one) for one in found]


def _alone(classifier: Classifier, content: bytes, entry: Entry) -> Answer | Refusal:
    try:
        found = classifier(content)
    except CifarnetError as error:
        return _refusal(error, entry)
    entry.answered([found])
    return _answer(found)


def _refusal(error: CifarnetError, entry: Entry) -> Refusal:
    entry.failed(error)
    return Refusal(error=str(error))


def _answer(found: Prediction) -> Answer:
    return Answer(
        label=found.label,
        probability=found.probability,
        probabilities=found.probabilities,
        verdict=found.verdict,
        sentence=found.sentence,
        scope=found.scope,
        box=list(found.box),
    )
