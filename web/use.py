"""The tab "Use it": code to copy, which tests run as it stands, and the model card."""

import json
import re
from html import escape
from pathlib import Path

import gradio as gr

from model.utils.root import INSTALLED, ROOT
from web.models import Models
from web.site import Site, html

SNIPPETS = Path(__file__).parent / "snippets"
ADDRESS = "http://127.0.0.1:7860"  # in the snippets; the page puts in the one it was opened at
TITLES = {
    "classifier.py": "Python: classify a picture",
    "timm_network.py": "Python: the network itself, for timm's ways",
    "client.py": "Python: ask this page",
    "curl.sh": "Shell: ask this page",
}
WHERE = "Copy, paste, and put paths of your own in the place of those shown. " + (
    "All of it runs wherever cifarnet is installed."
    if INSTALLED
    else "All of it runs inside of a checkout of the code; once that is installed "
    "(<code>pip install .</code>), write <code>cifarnet</code> in the place of "
    "<code>model</code>, and it runs anywhere."
)


def tab(site: Site) -> None:
    """Fills the tab; the first model's card is shown."""
    model = model_argument(site.models)
    shown = "".join(
        copied(Path(file).stem, title, code(file, model=model)) for file, title in TITLES.items()
    )
    html(f"<p>{WHERE}</p>{shown}", "snippets", script="use.js", styles="charts.css use.css")
    html('<h3 class="part">Model card</h3>', styles="charts.css")
    gr.Markdown(card(site.models), latex_delimiters=[], elem_id="model-card")


def model_argument(models: Models) -> str:
    """How code names the first model: nothing for the default, its id, or a folder of its name."""
    if models.folder.resolve() == ROOT:
        return ""
    name = models.names[0]  # where it lies on this machine is nobody's business
    return json.dumps(name if "/" in name else f"path/to/{name}", ensure_ascii=False)


def code(file: str, address: str = ADDRESS, model: str = "") -> str:
    """A snippet's text for a page at an address, and a model as `model_argument` gives it."""
    text = (SNIPPETS / file).read_text(encoding="utf-8").replace(ADDRESS, address)
    return text.replace("from_pretrained()", f"from_pretrained({model})")


def copied(name: str, title: str, text: str) -> str:
    """Code with its title, a button that copies it, and its comments in another colour."""
    text, title = escape(text, quote=False), escape(title)
    text = re.sub(r'^""".*"""$|(?:^|  )# .*$', r"<i>\g<0></i>", text, flags=re.MULTILINE)
    text = text.replace(ADDRESS, f'<span class="address">{ADDRESS}</span>')
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
    # Of our own README, what tells of the model; the page's visitors need not install it.
    marked = r"(?:## [^\n]*\n\n)?<!-- (?:summary|card) -->\n.*?(?=<!-- /)"
    told = re.findall(marked, text, re.DOTALL)
    if told and (head := re.search(r"^# .*$", text, re.MULTILINE)):
        text = "\n\n".join([head[0], *told])
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    for i in range(0, len(parts), 2):  # outside of code
        part = re.sub(r"<!--.*?-->\n?", "", parts[i], flags=re.DOTALL)
        part = re.sub(r"^## Figures\n+", "", part, flags=re.MULTILINE)
        part = re.sub(r"^(#+ )", r"##\1", part, flags=re.MULTILINE)
        part = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", part)
        parts[i] = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", part)
    return "".join(parts).strip()
