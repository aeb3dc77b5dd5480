"""What all parts of the page share: what they are about, and how they show and hear things."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from web.journal import Journal
from web.lessons import Lessons
from web.models import Models

# Of every function behind the page: our own texts say what goes on, and programs use the API.
QUIET: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")


@dataclass(frozen=True)
class Site:
    """What the tabs and the API are about."""

    models: Models
    """Those that can be asked."""
    dataset: str | None = None
    """Given on the command line; its test pictures can be looked at."""
    journal: Journal = field(default_factory=Journal)
    """Where questions are recorded."""
    lessons: Lessons | None = None
    """What visitors teach, if they may."""


def asset(name: str) -> str:
    """The text of a style sheet or script that lies beside this file."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def html(value: str, name: str | None = None, *, script: str = "", styles: str = "") -> gr.HTML:
    """A component for our own HTML, without gradio's rules for running text.

    Args:
        value: What it shows.
        name: Its id in the page.
        script: Names of files, separated by spaces, that run when it is loaded.
        styles: Names of style sheets, which gradio nests under the component's own id.
    """
    return gr.HTML(
        value,
        elem_id=name,
        js_on_load="\n".join(map(asset, script.split())) or None,
        css_template="".join(map(asset, styles.split())),
        apply_default_css=False,
    )


def said_by(event: gr.EventData, name: str) -> Any:
    """What a browser's event says under a name; None if it does not, as it may say anything."""
    return event._data.get(name) if isinstance(event._data, dict) else None
