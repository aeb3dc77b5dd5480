"""The tab "Many images"."""

from typing import Any

import gradio as gr

from web.models import Models


def tab(models: Models, results: dict[str, Any] | None, dataset: str | None) -> None:
    """Fills the tab."""
    gr.HTML("<p>To come.</p>")
