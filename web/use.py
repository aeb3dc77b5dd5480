"""The tab "Use it": code to copy, which tests run as it stands, and the model card."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from web.block import block
from web.models import Models
from web.report import Results

SNIPPETS = Path(__file__).parent / "snippets"
ADDRESS = "http://127.0.0.1:7860"  # in the snippets; a page puts its own there
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,253}")

# The address that a visitor's browser uses is the one that works for that visitor.
WHEN_LOADED = 'trigger("loaded", { origin: window.location.origin });'

# A card's tables and long names must not widen the page.
CARD = """
.prose { max-width: 80ch; overflow-wrap: anywhere; }
.prose table { display: block; max-width: 100%; overflow-x: auto; overflow-wrap: normal; }
"""


class Snippet(NamedTuple):
    """A file to copy, and what it is for."""

    file: str
    title: str
    language: Any


ALL = (
    Snippet("classifier.py", "Python: classify a picture", "python"),
    Snippet("timm_network.py", "Python: the network itself, through timm", "python"),
    Snippet("client.py", "Python: ask this page", "python"),
    Snippet("curl.sh", "Shell: ask this page", "shell"),
)


def tab(models: Models, results: Results | None, dataset: str | None) -> None:
    """Fills the tab.

    Args:
        models: The first one's card is shown.
        results: Not used.
        dataset: Not used.
    """
    address = block(
        "<p>Each of these runs as it stands: copy, paste, start.</p>",
        js_on_load=WHEN_LOADED,
    )
    blocks = []
    for snippet in ALL:
        blocks.append(
            gr.Code(
                code(snippet),
                language=snippet.language,
                label=snippet.title,
                interactive=False,
                wrap_lines=True,
                show_line_numbers=False,
                buttons=["copy"],
                elem_id=f"snippet-{Path(snippet.file).stem}",
            )
        )

    def here(event: gr.EventData) -> list[str]:
        return [code(snippet, str(event.origin)) for snippet in ALL]

    address.loaded(here, None, blocks, show_progress="hidden", api_visibility="private")
    block("<h3>Model card</h3>")
    with block("", html_template="@children", css_template=CARD):
        gr.Markdown(card(models), latex_delimiters=[], elem_id="model-card")


def code(snippet: Snippet, origin: str = ADDRESS) -> str:
    """A snippet's text for a page at an address; a strange address is not taken over."""
    text = (SNIPPETS / snippet.file).read_text(encoding="utf-8")
    return text.replace(ADDRESS, origin) if ORIGIN.fullmatch(origin) else text


def card(models: Models) -> str:
    """The model card as the page shows it."""
    path = Path(models.folder) / "README.md" if models.folder else None
    if path is None or not path.is_file():
        return "This model came without a model card."
    return readable(path.read_text(encoding="utf-8"))


def readable(text: str) -> str:
    """A card without what is for machines, and with headings below the page's own.

    Its figures go too: the page draws the same numbers, in its own colours.
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    for i in range(0, len(parts), 2):  # outside of code
        part = re.sub(r"<!--.*?-->\n?", "", parts[i], flags=re.DOTALL)
        part = re.sub(r"^## Figures\n+", "", part, flags=re.MULTILINE)
        part = re.sub(r"^(#+ )", r"##\1", part, flags=re.MULTILINE)
        part = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", part)
        parts[i] = re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", part)
    return "".join(parts).strip()
