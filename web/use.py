"""The tab "Use it": code to copy, which tests run as it stands, and the model card."""

import re
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from web.models import Models
from web.site import Site, html

SNIPPETS = Path(__file__).parent / "snippets"
ADDRESS = "http://127.0.0.1:7860"  # in the snippets; the page puts in the one it was opened at


class Snippet(NamedTuple):
    """A file to copy, and what it is for."""

    file: str
    title: str


ALL = (
    Snippet("classifier.py", "Python: classify a picture"),
    Snippet("timm_network.py", "Python: the network itself, through timm"),
    Snippet("client.py", "Python: ask this page"),
    Snippet("curl.sh", "Shell: ask this page"),
)


def tab(site: Site) -> None:
    """Fills the tab; the first model's card is shown."""
    shown = "".join(_shown(snippet) for snippet in ALL)
    html(
        "<p>Each of these runs as it stands inside of a checkout: copy, paste, start. Elsewhere "
        f"put in the path of a picture of your own.</p>{shown}",
        "snippets",
        script="use.js",
        styles="charts.css use.css",
    )
    html('<h3 class="part">Model card</h3>', styles="charts.css")
    gr.Markdown(card(site.models), latex_delimiters=[], elem_id="model-card")


def code(snippet: Snippet, address: str = ADDRESS) -> str:
    """A snippet's text for a page at an address."""
    text = (SNIPPETS / snippet.file).read_text(encoding="utf-8")
    return text.replace(ADDRESS, address)


def _shown(snippet: Snippet) -> str:
    """A snippet with its title, a button that copies it, and its comments in another colour."""
    name = Path(snippet.file).stem
    text = escape(code(snippet), quote=False)
    text = re.sub(r'^""".*"""$|(?:^|  )# .*$', r"<i>\g<0></i>", text, flags=re.MULTILINE)
    text = text.replace(ADDRESS, f'<span class="address">{ADDRESS}</span>')
    title = escape(snippet.title)
    return (
        f'<section id="snippet-{name}"><header><h3>{title}</h3>'
        f'<button type="button" aria-label="Copy: {title}">Copy</button>'
        f'<span role="status"></span></header><pre tabindex="0" aria-label="{title}">'
        f"<code>{text}</code></pre></section>"
    )


def card(models: Models) -> str:
    """The model card as the page shows it."""
    path = models.folder / "README.md"
    if not path.is_file():
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
