"""The page's API: /classify and /classify_batch, for gradio_client, curl and MCP."""

import base64
import binascii
import dataclasses
import re
from contextlib import suppress
from typing import Any, Literal, TypedDict

import gradio as gr
from gradio import FileData

from model.utils.errors import CifarnetError
from web.answers import Answer, answers
from web.site import Site
from web.uploads import content_of

MOST_AT_ONCE = 64  # pictures in one call of /classify_batch
READERS = 4  # calls of /classify that read their pictures at the same time

DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,")


class Said(TypedDict):
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

    def classify(image: FileData) -> Said:
        """Names what a picture shows, with calibrated probabilities.

        Args:
            image: The picture, an uploaded image file in any common format; for MCP a data URI.

        Returns:
            The class, probabilities, and a verdict: "confident", "unsure" or "none" (of them).
        """
        with site.journal.question("classify") as entry:
            (one,) = answers(site.models.classifier(), [_content(image)], entry)
        if one.problem:
            raise gr.Error(str(one.problem), print_exception=False)
        said: Said = _said(one)
        return said

    def classify_batch(images: list[FileData]) -> list[Said | Refusal]:
        """Names what several pictures show.

        Args:
            images: The pictures, 64 at most, each as for /classify.

        Returns:
            An answer for each, in the same order; where a picture cannot be read, its "error".
        """
        if not isinstance(images, list) or not 0 < len(images) <= MOST_AT_ONCE:
            raise gr.Error(f"Send 1 to {MOST_AT_ONCE} pictures.", print_exception=False)
        with site.journal.question("classify_batch") as entry:
            found = answers(site.models.classifier(), map(_content, images), entry)
            return list(map(_said, found))

    gr.api(classify, api_name="classify", concurrency_limit=READERS)
    gr.api(classify_batch, api_name="classify_batch")


def _content(image: object) -> bytes | CifarnetError:
    """The content of an upload, which arrives as what its JSON says, or of a data URI."""
    if isinstance(image, str) and (uri := DATA_URI.match(image)):
        with suppress(binascii.Error):
            return base64.b64decode(image[uri.end() :], validate=True)
    try:
        return content_of(image.get("path") if isinstance(image, dict) else None)
    except CifarnetError as error:
        return error


def _said(one: Answer) -> Any:
    return dataclasses.asdict(one.prediction) if one.prediction else {"error": str(one.problem)}
