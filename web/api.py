"""The page's API: /classify and /classify_batch, for gradio_client, curl and MCP."""

import base64
import binascii
import re
from contextlib import suppress
from typing import Literal, TypedDict

import gradio as gr
from gradio import FileData

from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError
from web.site import Site, client_of
from web.uploads import content_of

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


def add(site: Site) -> None:
    """Adds the endpoints to the page that is being built; they answer for the first model."""
    models, journal, batcher = site.models, site.journal, site.batcher

    def classify(image: FileData, request: gr.Request) -> Answer:
        """Names what a picture shows, with calibrated probabilities.

        Args:
            image: The picture, an uploaded image file in any common format; for MCP a data URI.

        Returns:
            The class, probabilities, and a verdict: "confident", "unsure" or "none" (of them).
        """
        try:
            with journal.question("classify", client_of(request)) as entry:
                content = _content(image)
                entry.size = len(content)
                classifier = models.classifier()
                found = batcher.predict(classifier, [classifier.open(content)])
                entry.answered(found)
                return _answer(found[0])
        except CifarnetError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def classify_batch(images: list[FileData], request: gr.Request) -> list[Answer | Refusal]:
        """Names what several pictures show.

        Args:
            images: The pictures, 64 at most, each as for /classify.

        Returns:
            An answer for each, in the same order; where a picture cannot be read, its "error".
        """
        if not isinstance(images, list) or not 0 < len(images) <= MOST_AT_ONCE:
            raise gr.Error(f"Send 1 to {MOST_AT_ONCE} pictures.", print_exception=False)
        answers: list[Answer | Refusal] = []
        with journal.question("classify_batch", client_of(request)) as entry:
            contents = map(_content_or_error, images)
            for one in batcher.predict_each(models.classifier(), contents, entry):
                if one.prediction:
                    answers.append(_answer(one.prediction))
                else:
                    answers.append(Refusal(error=str(one.problem)))
        return answers

    gr.api(classify, api_name="classify", concurrency_limit=READERS)
    gr.api(classify_batch, api_name="classify_batch")


def _content(image: object) -> bytes:
    """The content of an upload, which arrives as what its JSON says, or of a data URI."""
    if isinstance(image, str) and (uri := DATA_URI.match(image)):
        with suppress(binascii.Error):
            return base64.b64decode(image[uri.end() :], validate=True)
    return content_of(image.get("path") if isinstance(image, dict) else None)


def _content_or_error(image: object) -> bytes | CifarnetError:
    try:
        return _content(image)
    except CifarnetError as error:
        return error


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
