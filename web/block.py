"""The component that shows our own HTML."""

from pathlib import Path
from typing import Any

import gradio as gr

# Of charts and plain text; gradio nests them under the component's own id.
CSS = (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")


def block(html: str, **settings: Any) -> gr.HTML:
    """A component for HTML, without gradio's rules for running text.

    Args:
        html: What it shows.
        settings: Others of gr.HTML; `css_template` adds to the rules of charts.
    """
    css = CSS + settings.pop("css_template", "")
    return gr.HTML(html, css_template=css, apply_default_css=False, **settings)
